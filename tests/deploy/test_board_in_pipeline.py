"""A board in QEMU as the first stage of a pipeline: bit-equal with its reference, through a reset and a cut line."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from devices.mcu.boards import board
from devices.mcu.firmware_image import image
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Device, Variant
from edgekit.graph import Graph
from edgekit.onnxio import Model, load, normalise, read
from edgekit.plan import Stage, chain
from edgekit.stages.composed_run import Composed
from edgekit.stages.parts import part
from tests.cabled_board import cabled
from tests.devices.mcu.onnx_networks import Nodes
from tests.firmwarebed import needs_qemu
from tests.sshbed import bed

FRAMES, MANY = 12, 200
RATE = 250e6


class Network(NamedTuple):
    """A network with the frames that are sent."""

    graph: Graph
    model: Model
    frames: list[dict[str, np.ndarray]]


@cache
def small() -> Network:
    """Three convolutions between int8 tensors."""
    net, at, scale = Nodes(), "x", 0.05
    for channels, before, after in ((4, 3, 0.06), (6, 4, 0.1), (2, 6, 0.1)):
        made = net.node("Conv", net.dq(at, scale, -3), net.kernels(channels, before, 3, 3), pads=[1, 1, 1, 1])
        at, scale = net.q(made, after, -3), after
    model = load(normalise(net.model({"x": ("int8", (1, 3, 8, 8))}, [(at, "int8")])))
    graph, draw = read(model), np.random.default_rng(5)
    (entry,) = graph.cuts[0].tensors
    frames = [{entry.name: draw.integers(-128, 128, entry.shape).astype(np.int8)} for _ in range(MANY)]
    return Network(graph, model, frames)


def right(net: Network, mcu: Device, *others: Device, count: int = FRAMES, disturb: dict[int, Callable[[], None]]) -> None:
    """Stream frames through the board and other devices, a unit each; each has its one result, in order and bit-equal."""
    cluster = Cluster((mcu, *others), (Link(ANY, ANY, 1e-4, 1e8),))
    cuts = [*range(len(net.graph.units) - len(others), len(net.graph.units) + 1)]
    rest = (Stage(*span, (each.name,), Variant("int8")) for span, each in zip(pairwise(cuts), others, strict=True))
    plan = chain(net.graph, (Stage(0, cuts[0], (mcu.name,), mcu.variant), *rest))
    composed = Composed(part(plan, net.graph, net.model, cluster, "reference"))
    with deploy(plan, net.graph, net.model, cluster) as pipeline, pipeline.client() as client:
        assert pipeline.equality is not None and pipeline.equality.bit_equal
        seen = []
        for result in client.stream(net.frames[:count], window=3):
            disturb.get(result.frame, lambda: None)()
            want = composed.run(net.frames[result.frame])
            assert all(np.array_equal(value, want[name]) for name, value in result.value().items())
            seen.append(result.frame)
    assert seen == list(range(count))


@needs_qemu
def test_a_board_that_is_reset_and_cut_off_loses_no_frame() -> None:
    net, found = small(), board("mps2-an386")
    with cabled(found, image(found).elf) as running:
        mcu = Device("mcu", f"serial:{running.port}", insn_per_s=RATE)
        right(net, mcu, Device("near"), disturb={3: running.reset, 7: lambda: running.cut(1.0)})


@needs_qemu
def test_a_board_behind_an_ssh_gateway_is_bit_equal_through_a_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, found = small(), board("mps2-an386")
    elf = image(found).elf
    with bed(tmp_path, monkeypatch) as lab, cabled(found, elf) as running:
        gate = lab.board("gate")
        mcu = Device("mcu", gate.address, port=running.port, insn_per_s=RATE)
        right(net, mcu, Device("near"), disturb={3: running.reset})
        assert not [line for line in gate.processes() if "stage.process" in line]


@needs_qemu
@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_two_hundred_frames_pass_a_board_this_machine_and_one_over_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, found = small(), board("mps2-an386")
    elf = image(found).elf
    with bed(tmp_path, monkeypatch) as lab, cabled(found, elf) as running:
        mcu, far = Device("mcu", f"serial:{running.port}", insn_per_s=RATE), lab.board("far").device()
        right(net, mcu, Device("near"), far, count=MANY, disturb={66: running.reset, 133: lambda: running.cut(5.0)})
