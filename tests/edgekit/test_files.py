"""The files of the nouns: what is written is read back, and what cannot be read is refused with a reason."""

import contextlib
import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.cluster import Cluster, Link
from edgekit.conditions import Conditions
from edgekit.device import Device, Roofline, Variant
from edgekit.errors import FormatError
from edgekit.files import decode, encode, read, write, write_bytes
from edgekit.front import Front
from edgekit.plan import Cost, Plan, Stage, Term
from edgekit.profile import Profile
from edgekit.trace import Span
from tests.strategies import NOUNS, nouns

PLAN = Plan("d1f3", (Stage(0, 5, ("pi",)), Stage(5, 9, ("nano",), Variant(threads=4))), name="by hand")


@pytest.mark.parametrize("kind", NOUNS)
def test_every_noun_comes_back_as_it_was_written_with_its_format_and_version(kind: type[msgspec.Struct]) -> None:
    @given(nouns(kind))
    def check(noun: msgspec.Struct) -> None:
        data = encode(noun)
        again = decode(data, kind)
        assert again == noun
        assert encode(again) == data
        raw = json.loads(data)
        assert (raw["format"], raw["version"]) == (f"edgekit.{kind.__name__.lower()}", 1)

    check()


def test_a_file_on_disk_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "today" / "a.plan.json"
    write(path, PLAN)
    assert read(path, Plan) == PLAN
    assert read(str(path), Plan) == PLAN
    assert [each.name for each in path.parent.iterdir()] == ["a.plan.json"]


def test_a_file_is_meant_to_be_read_by_people_too() -> None:
    assert encode(Device("pi", memory_bytes=2**30)).decode() == "\n".join(
        [
            "{",
            ' "format": "edgekit.device",',
            ' "name": "pi",',
            ' "address": "local:",',
            ' "host": null,',
            ' "memory_bytes": 1073741824,',
            ' "variant": {',
            '  "precision": "fp32",',
            '  "provider": "CPUExecutionProvider",',
            '  "threads": 1,',
            '  "engine": "onnxruntime"',
            " },",
            ' "cores": null,',
            ' "speed": 1.0,',
            ' "listen": null,',
            ' "roofline": null,',
            ' "port": null,',
            ' "flash_bytes": null,',
            ' "insn_per_s": null,',
            ' "version": 1',
            "}",
        ]
    )


def test_writing_again_replaces_the_file_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.plan.json"
    path.write_text("x" * 100_000)
    write(path, PLAN)
    assert read(path, Plan) == PLAN


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "noun",
    [
        lambda value: Device("pi", speed=value),
        lambda value: Device("pi", address="sim:", roofline=Roofline(1e9, value)),
        lambda value: Cluster((Device("pi"),), (Link("client", "pi", latency_s=value),)),
        lambda value: Profile(
            "d", "pi", 1, Variant(), Conditions("m", "p", ("onnxruntime 1",), 99, False, 1.0, load_average=value), (), ()
        ),
        lambda value: Plan("d", (Stage(0, 1, ("pi",)),), predicted=Cost(value, 1.0, 0, (Term("compute", 1.0, "spec"),), (), ())),
    ],
)
def test_values_that_are_no_numbers_are_never_written(noun, value: float, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FormatError, match="cannot carry|out of its bounds"):
        write(tmp_path / "a.json", noun(value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "noun",
    [
        Device("pi", speed=2.0),
        Device(""),
        Device("pi", memory_bytes=-1),
        Device("pi", speed=np.float32(0.5)),  # type: ignore[arg-type]
        Device("pi", cores=[0, 1]),  # type: ignore[arg-type]
        Device("\ud800"),
        Span("a", -1, 0.0, 0.0),
        Plan("d", ()),
    ],
)
def test_values_out_of_bounds_are_never_written(noun: msgspec.Struct) -> None:
    with pytest.raises(FormatError, match="holds a value"):
        encode(noun)


def edited(**changes: object) -> bytes:
    raw = json.loads(encode(PLAN)) | changes
    return json.dumps({name: value for name, value in raw.items() if value != "absent"}).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (edited(format="edgekit.profile"), "expected format 'edgekit.plan', got 'edgekit.profile'; pass a file of that kind"),
        (edited(format="absent"), "expected format 'edgekit.plan', got None"),
        (b'["edgekit.plan"]', "expected format 'edgekit.plan', got None"),
        (edited(version=2), "version 1 is what this edgekit reads, got 2; install a newer edgekit"),
        (edited(version=0), "version 1 is what this edgekit reads, got 0; make the file again with this edgekit"),
        (edited(version="absent"), "got None; make the file again with this edgekit"),
        (edited(version="2"), "got '2'; make the file again with this edgekit"),
        (edited(stages=[]), "not a valid edgekit.plan: Expected `array` of length >= 1"),
        (edited(stages="absent"), "not a valid edgekit.plan: Object missing required field `stages`"),
        (edited(colour="red"), "not a valid edgekit.plan: Object contains unknown field `colour`"),
        (edited(graph=7), r"not a valid edgekit.plan: Expected `str`, got `int` - at `\$.graph`"),
        (b"\x89PNG\r\n\x1a\n", "expected edgekit.plan as JSON, got something else .*; is it the right file"),
        (b"\xff\xfe", "expected edgekit.plan as JSON"),
        (b"", "expected edgekit.plan as JSON"),
        (b"[" * 100_000, "expected edgekit.plan as JSON"),
        (edited(name=math.nan), "expected edgekit.plan as JSON"),
        (encode(PLAN) + encode(PLAN), "expected edgekit.plan as JSON"),
    ],
)
def test_a_file_that_is_not_a_plan_is_refused_with_the_reason(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.plan.json"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=words) as caught:
        read(path, Plan)
    assert str(caught.value).startswith(f"{path}: ")


@given(st.integers(0, len(encode(PLAN)) - 1))
def test_a_file_that_ends_too_early_is_refused(length: int) -> None:
    with pytest.raises(FormatError, match="expected edgekit.plan as JSON"):
        decode(encode(PLAN)[:length], Plan)


@given(st.integers(0, len(encode(PLAN)) - 1), st.integers(1, 255))
def test_a_damaged_byte_gives_a_noun_or_a_format_error_and_nothing_else(position: int, flip: int) -> None:
    data = bytearray(encode(PLAN))
    data[position] ^= flip
    with contextlib.suppress(FormatError):
        assert isinstance(decode(bytes(data), Plan), Plan)


@given(
    st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_any_other_json_is_refused(value: object) -> None:
    with pytest.raises(FormatError):
        decode(json.dumps(value).encode(), Front)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"absent.json: cannot be read \(No such file or directory\); check the path"):
        read(tmp_path / "absent.json", Plan)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"cannot be read \(Is a directory\); check the path"):
        read(tmp_path, Plan)


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "a.json", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(FormatError, match="cannot be written .*; choose another place"):
            write_bytes(place, b"data")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "in the way"


CLUSTER_TOML = """
name = "bench"
client = "laptop"

[[devices]]
name = "pi"
speed = 0.25
memory_bytes = 1_073_741_824
cores = [2, 3]

[[devices]]
name = "nano"
address = "sim:"
variant = { precision = "fp32", threads = 4 }
roofline = { macs_per_s = 2e9, memory_bytes_per_s = 4e9 }

[[links]]
source = "*"
receiver = "*"
latency_s = 0.002
bytes_per_s = 12_500_000
media = ["wifi"]
"""


def test_a_cluster_is_written_by_hand_in_toml(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(CLUSTER_TOML)
    cluster = read(path, Cluster)
    assert cluster == Cluster(
        (
            Device("pi", speed=0.25, memory_bytes=2**30, cores=(2, 3)),
            Device("nano", "sim:", variant=Variant(threads=4), roofline=Roofline(2e9, 4e9)),
        ),
        (Link("*", "*", 0.002, 12.5e6, media=("wifi",)),),
        "laptop",
        "bench",
    )
    assert decode(encode(cluster), Cluster) == cluster


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = bench", "not valid TOML: Invalid value"),
        ("[devices]\nname = 'a'\n[devices]", r"for several of them write \[\[devices\]\] above each"),
        (CLUSTER_TOML + "color = 1", r"line 23: unknown field color in \[\[links\]\] number 1; fields: source, receiver,"),
        (CLUSTER_TOML.replace("speed = 0.25", "speed = 0"), r"line 7: speed in \[\[devices\]\] number 1: expected a number above 0, got 0"),
        (CLUSTER_TOML.replace("speed = 0.25", "speed = nan"), "speed"),
        (CLUSTER_TOML.replace('"nano"', '"pi"'), "pi named more than once; give each a name of its own"),
        (CLUSTER_TOML.replace('receiver = "*"', 'receiver = "tx2"'), "add the device, or name one of"),
        ('name = "empty"', "devices is missing"),
        ('format = "edgekit.plan"', "expected format 'edgekit.cluster', got 'edgekit.plan'"),
        ("version = 9", "install a newer edgekit"),
    ],
)
def test_a_cluster_file_with_a_mistake_is_refused_with_the_reason(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(FormatError, match=words) as caught:
        read(path, Cluster)
    assert str(caught.value).startswith(f"{path}: ")


def test_toml_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(FormatError, match="not valid TOML"):
        read(path, Cluster)
