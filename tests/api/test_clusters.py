"""A cluster file stays as it was written; what was measured lies beside it, and added devices are found by name."""

from pathlib import Path

import pytest

from devices import inventory
from edgekit import api
from edgekit.cluster import Link
from edgekit.conditions import Conditions
from edgekit.device import Device, Variant
from edgekit.errors import FormatError, UsageError
from edgekit.files import write
from edgekit.survey import Sample, Survey, Way
from edgekit.tuning import Setting, SettingTime, Tuning
from tests.models import serial

TOML = """# my garden
name = "garden"

[[devices]]
name = "near"   # beside the gate
address = "local:"

[[devices]]
name = "far"
address = "local:"
variant = { threads = 3 }
"""


@pytest.fixture(autouse=True)
def own_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lab.toml").write_text(TOML)
    return tmp_path / "lab.toml"


def a_survey(*pairs: tuple[str, str], apart: tuple[tuple[str, str], ...] = ()) -> Survey:
    samples = [Sample(*pair, "idle", size, (1e-3 + size * 1e-7,) * 9) for pair in pairs for size in (1, 10_000, 100_000)]
    ways = [
        *(Way(*pair) for pair in pairs),
        *(Way(*pair, "stage 0 cannot be reached at 10.0.0.1:5") for pair in apart),
    ]
    return Survey("today", tuple(ways), tuple(samples))


def a_tuning(device: str, threads: int) -> Tuning:
    setting = Setting(Variant(threads=threads))
    time = SettingTime(setting, 0.01, 0.01, 0.01, 0.0, 0.01, 1.0, 9, 1)
    conditions = Conditions("x86_64", "a processor", ("onnxruntime 1.26",), 99, False, 1.0)
    return Tuning(serial().graph.digest, device, conditions, setting, (time,))


def test_a_survey_is_kept_beside_the_file_and_found_from_it(path: Path) -> None:
    assert api.read_cluster(path).links == ()
    api.keep_survey(path, a_survey(("near", "far"), ("client", "near")))
    links = {(link.source, link.receiver): link for link in api.read_cluster(path).links}
    assert set(links) == {("near", "far"), ("client", "near")}
    assert links["near", "far"].badge == "measured" and links["near", "far"].bytes_per_s == pytest.approx(1e7)
    assert api.read_cluster(path, surveyed=False).links == ()
    assert path.read_text() == TOML
    beside = sorted(each.name for each in path.parent.glob("lab.*"))
    assert beside == ["lab.measured.json", "lab.survey.json", "lab.toml"]


def test_a_second_survey_replaces_the_first_and_leaves_variants(path: Path) -> None:
    api.keep_tunings(path, {"near": a_tuning("near", 2)})
    api.keep_survey(path, a_survey(("near", "far"), ("far", "near")))
    api.keep_survey(path, a_survey(("near", "far"), apart=(("far", "near"),)))
    cluster = api.read_cluster(path, graph=serial().graph)
    assert {(link.source, link.receiver) for link in cluster.links} == {("near", "far")}
    assert cluster.device("near").variant.threads == 2


def test_tuned_variants_are_used_for_their_network_alone(path: Path) -> None:
    said: list[str] = []
    api.keep_tunings(path, {name: a_tuning(name, 2) for name in ("near", "far")})
    cluster = api.read_cluster(path, graph=serial().graph, tell=said.append)
    assert [device.variant.threads for device in cluster.devices] == [2, 3]
    assert len(said) == 1 and said[0].startswith("far: its tuned variant fp32 CPU ×2 is not used, because the cluster file says")
    assert [device.variant.threads for device in api.read_cluster(path, graph=serial(3).graph).devices] == [1, 3]
    assert path.read_text() == TOML


def test_a_cluster_in_json_has_its_measurements_beside_it_too(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "other.json", api.read_cluster(path))
    api.keep_survey(tmp_path / "other.json", a_survey(("near", "far")))
    assert [type(link) for link in api.read_cluster(tmp_path / "other.json").links] == [Link]
    assert api.read_cluster(path).links == ()


def test_a_name_alone_means_the_device_that_was_added(tmp_path: Path) -> None:
    inventory.add(Device("pi", "ssh://pi@10.0.0.5"))
    path = tmp_path / "cluster.toml"
    path.write_text('[[devices]]\nname = "pi"\nspeed = 1.0\n[[devices]]\nname = "here"\naddress = "local:"\n')
    assert [device.address for device in api.read_cluster(path).devices] == [
        "ssh://pi@10.0.0.5",
        "local:",
    ]


def test_a_name_that_was_not_added_is_answered_with_both_remedies(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('[[devices]]\nname = "board1"\n')
    remedies = 'write address = "local:" there; if not, run: edgekit devices add board1 ssh://USER@HOST'
    with pytest.raises(UsageError) as caught:
        api.read_cluster(path)
    assert "no device called board1 was added, and it has no address; none was added yet" in str(caught.value)
    assert str(caught.value).endswith(remedies)
    inventory.add(Device("board2", "ssh://pi@10.0.0.5"))
    with pytest.raises(
        UsageError,
        match=r"did you mean board2\? devices that were added: board2; if it is on this machine",
    ) as caught:
        api.read_cluster(path)
    assert str(caught.value).endswith(remedies)


def test_the_short_name_of_a_provider_is_answered_with_the_long_one(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('[[devices]]\nname = "a"\naddress = "local:"\nvariant = { provider = "CUDA" }\n')
    with pytest.raises(
        FormatError,
        match='provider of a: expected "CUDAExecutionProvider", got "CUDA"; write the long name',
    ):
        api.read_cluster(path)


def test_an_engine_written_as_a_provider_is_answered_with_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('[[devices]]\nname = "a"\naddress = "local:"\nvariant = { provider = "hailo" }\n')
    with pytest.raises(FormatError, match='got "hailo"; write engine = "hailo" for an engine of your own'):
        api.read_cluster(path)
    path.write_text('[[devices]]\nname = "a"\naddress = "local:"\nvariant = { engine = "hailo", precision = "int8" }\n')
    assert api.read_cluster(path).device("a").variant == Variant("int8", engine="hailo")
