"""The best setting of a real device, and how it gets into a cluster.toml."""

from pathlib import Path

import pytest

from edgekit import api
from edgekit.cluster import Cluster
from edgekit.device import Device, Variant
from edgekit.errors import UsageError
from edgekit.files import read
from tests.models import local, serial

TOML = """# my garden
[[devices]]
name = "near"   # beside the gate
variant = { threads = 2 }  # a guess

[[devices]]
name = "far"
[devices.variant]
threads = 3

[[devices]]
name = "other"

[[links]]
source = "*"
receiver = "*"
"""


def test_an_agent_is_tuned_and_what_is_known_is_kept_in_the_run_folder(tmp_path: Path) -> None:
    net, run = serial(3), api.Run(tmp_path)
    cluster = Cluster((Device("near", cores=(0,)),), local("near").links)
    found = api.tune(net.graph, net.model, cluster, batches=(2,), budget_s=0.1, keep=run.keep_tuning)
    assert run.tunings() == found
    tuning = found["near"]
    assert [(time.setting.variant.threads, time.setting.batch) for time in tuning.times] == [(1, 1), (1, 2)]
    assert all(time.samples >= 10 and time.cpu_s > 0 for time in tuning.times) and tuning.conditions.cores == (0,)
    assert api.tune(net.graph, net.model, cluster, batches=(2,), known=run.tunings()) == found


def test_variants_are_written_into_a_cluster_file_and_the_rest_of_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(TOML)
    best = {"near": Variant(threads=4), "far": Variant("int8", "CUDAExecutionProvider", 1)}
    for _ in range(2):  # a second tuning replaces what the first wrote
        api.update_variants(path, best)
        cluster = read(path, Cluster)
        assert [device.variant for device in cluster.devices] == [best["near"], best["far"], Variant()]
        assert len(cluster.links) == 1
    text = path.read_text()
    assert "# variant = { threads = 2 }  # a guess" in text and "# [devices.variant]\n# threads = 3" in text
    assert text.count("# as edgekit tune measured it") == 2 and "\n\n\n" not in text
    assert text.startswith("# my garden") and "# beside the gate" in text


def test_a_file_of_another_form_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('devices = [{ name = "near" }]\n')
    with pytest.raises(UsageError, match=r"expected \[\[devices\]\] with name = 'near', got another form of TOML"):
        api.update_variants(path, {"near": Variant(threads=4)})
    assert path.read_text() == 'devices = [{ name = "near" }]\n'
    with pytest.raises(UsageError, match=r"cluster.json is no .toml file"):
        api.update_variants(tmp_path / "cluster.json", {})


def test_a_batch_holds_a_frame_at_least() -> None:
    net = serial(3)
    with pytest.raises(UsageError, match="expected batches of at least 1 frame, got 0; change --batch"):
        api.tune(net.graph, net.model, local("a"), batches=(0,))
