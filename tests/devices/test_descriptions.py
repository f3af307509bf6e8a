"""Boards by name: their data sheets are there, add up, and are worth no more than a data sheet is."""

import re

import pytest

from devices import connect
from devices.descriptions import board, boards, completed, described_s, work_s
from edgekit.device import Device, Roofline, Variant
from edgekit.errors import UsageError
from edgekit.runtime.verbs import Work
from tests.devices.contract import MODEL, stage

CACHED = Roofline(1e9, memory_bytes_per_s=1e6, cache_bytes=1000, cache_bytes_per_s=1e7)
NAMES = "agx-orin jetson-nano n100 orin-nano pi4 pi5 rock5b ryzen-5800x xeon-6226 zero2w".split()


def test_the_stock_boards_are_there() -> None:
    assert list(boards()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_board_has_a_source(name: str) -> None:
    found = board(name)
    given = {field for field in found.roofline.__struct_fields__ if getattr(found.roofline, field) not in (None, 0, 0.0)}
    given -= {"cores"} if found.roofline.cores == 1 else set()
    given |= {"memory_bytes"} if found.memory_bytes else set()
    assert given == {field for source in found.sources for field in source.of}
    for source in found.sources:
        assert re.match(r"https?://", source.url) and re.fullmatch(r"\d{4}-\d\d-\d\d", source.date)
        assert not source.checked or re.match(r"https?://", source.checked)


def test_arithmetic_of_a_data_sheet() -> None:
    assert board("pi5").roofline.macs_per_s == 4 * 2.4e9 * 2 * 4
    assert board("pi5").roofline.memory_bytes_per_s == 4267e6 * 4
    assert board("jetson-nano").roofline.macs_per_s == pytest.approx(128 * 921.6e6, rel=1e-3)
    assert board("xeon-6226").roofline.memory_bytes_per_s == 6 * 2933e6 * 8


def test_a_device_is_described_by_the_name_of_a_board() -> None:
    device = completed(Device("bench", "sim:pi4"))
    assert (device.roofline, device.memory_bytes) == (board("pi4").roofline, 4 * 2**30)
    assert device.badge == "spec" and device.emulated
    with connect(Device("bench", "sim:pi4")) as sim:
        assert sim.facts().machine.memory_bytes == sim.device.memory_bytes == 4 * 2**30
        loaded, _ = sim.load(stage(sim.put(MODEL)))
    assert loaded.host == "sim"


def test_what_the_cluster_says_wins_over_the_board() -> None:
    own = Roofline(1.0, 1.0)
    assert completed(Device("bench", "sim:pi4", roofline=own)).roofline == own
    assert completed(Device("bench", "sim:pi4", roofline=own)).memory_bytes == 4 * 2**30
    assert completed(Device("bench", "sim:pi4", memory_bytes=5)).memory_bytes == 5
    assert completed(Device("bench", "sim:anything", memory_bytes=5, roofline=own)).roofline == own
    assert completed(Device("bench", "local:")) == Device("bench", "local:")


def test_an_unknown_board_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=f"no board is called 'pi9'; there are {', '.join(NAMES)}; or give the device a roofline"):
        connect(Device("bench", "sim:pi9"))


def test_weights_come_from_memory_where_those_of_the_segment_exceed_the_cache() -> None:
    #          1000 bytes, of which 500 are weights
    work = Work(macs=0, nbytes=1000, weight_bytes=500)
    assert described_s((work,), CACHED, Variant()) == pytest.approx((1e-4,))  # all in the cache
    assert described_s((work,) * 3, CACHED, Variant()) == pytest.approx((500e-6 + 500e-7,) * 3)
    assert work_s(Work(macs=0, nbytes=3000), CACHED) == pytest.approx(3e-3)  # activations beyond the cache


def test_rates_follow_precision_and_threads() -> None:
    four = Roofline(4.0, 1.0, int8_macs_per_s=16.0, cores=4)
    assert [four.rate(Variant(threads=threads)) for threads in (1, 2, 4, 8)] == [1.0, 2.0, 4.0, 4.0]
    assert four.rate(Variant("int8", threads=4)) == 16.0
    assert four.rate(Variant("fp16", threads=4)) == 4.0  # not known to be quicker
