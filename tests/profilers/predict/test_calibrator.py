"""A calibration recovers what a described machine costs, and says how far it is off where it cannot."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devices import connect
from edgekit.calibration import Calibration, KindCost, calibrated_s
from edgekit.conditions import Conditions
from edgekit.device import Device, Variant
from edgekit.errors import FormatError, UsageError
from edgekit.files import read, write
from edgekit.graph.work_kinds import KINDS, Part, parts_of
from edgekit.onnxio import draft, load
from edgekit.onnxio import read as graph_of
from profilers.measure.profiler import profile_graph
from profilers.predict.calibrator import calibrate, nonnegative
from profilers.predict.micro_networks import Micro, micro_networks
from tests.models import skipping

NET = skipping()
COSTS = tuple(KindCost(kind, 1e-11 * (4 - i) if i < 4 else 0.0, 1e-10 * (1 + i)) for i, kind in enumerate(KINDS))
TRUE = Calibration(
    "pi",
    Variant(),
    Conditions("aarch64", "a processor", ("onnxruntime 1.20",), 99, False, 1.0),
    COSTS,
    4e-6,
    1e-10,
    9e-10,
    2**22,
    0.1,
    0.4,
    (),
    2**30,
)
SMALL = {"gemm 1 × 2048 × 2048", "conv 512 at 7"}


def small() -> list[Micro]:
    """All micro-networks but those that take long to make."""
    return [micro for micro in micro_networks() if micro.name not in SMALL]


@pytest.fixture
def described(tmp_path: Path) -> Device:
    write(tmp_path / "pi.json", TRUE)
    return Device("bench", f"sim:{tmp_path / 'pi.json'}")


def test_a_part_costs_its_overhead_its_products_and_its_bytes() -> None:
    parts = (Part("conv", 1_000_000, 1000), Part("layout", 0, 500))
    near = 2 * 4e-6 + 1_000_000 * 4e-11 + 1000 * 1e-10 + 500 * 8e-10
    assert calibrated_s(parts, 1000, 1000, TRUE) == pytest.approx(near + 1000 * 1e-10)
    assert calibrated_s(parts, 1000, 2**22 + 1, TRUE) == pytest.approx(near + 1000 * 9e-10)
    assert calibrated_s((), 0, 0, TRUE) == 0


def test_there_is_a_micro_network_of_every_kind() -> None:
    graphs = [graph_of(load(draft(micro.shape, micro.layers))) for micro in small()]
    assert {part.kind for graph in graphs for unit in range(len(graph.units)) for part in parts_of(graph, unit)} == set(KINDS)


def test_what_a_machine_costs_is_found_again_from_micro_networks(described: Device, tmp_path: Path) -> None:
    with connect(described) as machine:
        found = calibrate(machine, networks=small())
    assert found.worst_error < 0.02
    write(tmp_path / "again.json", found)
    assert read(tmp_path / "again.json", Calibration) == found
    with connect(described) as machine, connect(Device("copy", f"sim:{tmp_path / 'again.json'}")) as copy:
        true, learned = (profile_graph(NET.graph, NET.model, each) for each in (machine, copy))
    assert learned.whole.p50_s == pytest.approx(true.whole.p50_s, rel=0.2)
    assert (learned.badge, learned.emulated, true.compute_s(0, 1)[1]) == ("estimated", True, "estimated")
    assert copy.device.memory_bytes == 2**30


def test_a_calibration_says_nothing_of_other_variants(described: Device) -> None:
    with connect(described) as machine, pytest.raises(UsageError, match="pi was calibrated as fp32 CPU ×1, and is asked for fp32 CPU ×2"):
        profile_graph(NET.graph, NET.model, machine, variant=Variant(threads=2))


def test_a_calibration_that_is_not_there_is_told_by_its_name() -> None:
    with pytest.raises(FormatError, match=r"nowhere\.json: cannot be read"):
        connect(Device("bench", "sim:nowhere.json"))


@settings(deadline=None)
@given(arrays(float, (8, 4), elements=st.floats(0, 10)), arrays(float, 8, elements=st.floats(-10, 10)))
def test_no_coefficient_is_negative_and_no_small_change_of_one_fits_better(a: np.ndarray, b: np.ndarray) -> None:
    x = nonnegative(a, b)
    assert (x >= 0).all()
    away = np.linalg.norm(a @ x - b)
    for i in range(4):
        for step in (-1e-3, 1e-3):
            moved = x.copy()
            moved[i] = max(0.0, moved[i] + step)
            assert np.linalg.norm(a @ moved - b) >= away - 1e-6


def test_a_negative_share_is_left_out_instead() -> None:
    #  unbounded, the second column would be taken off the first
    assert nonnegative(np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([1.0, -1.0])).tolist() == [1.0, 0.0]
