"""A pipeline whose last stage is a board in QEMU: bit-equal with the reference, also when the board is silent for a while."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from devices.mcu.boards import board
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import image
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Device, Variant
from edgekit.plan import Stage, chain
from edgekit.stages.composed_run import Composed
from edgekit.stages.parts import part
from tests.devices.mcu.onnx_networks import DATA
from tests.firmwarebed import needs_qemu

NETWORK = DATA / "person_detect.onnx"
LAST = 3
"""Units on the board: those with few weights."""

FRAMES = 4
SILENT_S = 1.5


@needs_qemu
@pytest.mark.skipif(not NETWORK.is_file(), reason="needs data person_detect.onnx")
def test_a_linux_head_and_a_board_as_tail_are_bit_equal(tmp_path: Path) -> None:
    api.export(NETWORK, tmp_path / "net.onnx")
    graph, model = api.load(tmp_path / "net.onnx")
    found, count = board("mps2-an386"), len(graph.units)
    with emulated(found, image(found).elf) as running:
        mcu = Device("mcu", f"serial:{running.port}", insn_per_s=250e6)
        cluster = Cluster((mcu, Device("near")), (Link(ANY, ANY, 1e-4, 1e8),))
        cut = count - LAST
        plan = chain(graph, (Stage(0, cut, ("near",), Variant("int8")), Stage(cut, count, ("mcu",), mcu.variant)))
        composed = Composed(part(plan, graph, model, cluster, "reference"))
        draw, (entry,) = np.random.default_rng(3), graph.cuts[0].tensors
        frames = [{entry.name: draw.integers(-128, 128, entry.shape).astype(np.int8)} for _ in range(FRAMES)]
        with deploy(plan, graph, model, cluster) as pipeline, pipeline.client() as client:
            assert pipeline.equality is not None and pipeline.equality.bit_equal
            got = []
            for result in client.stream(frames):
                if not got:
                    os.kill(running.process.pid, signal.SIGSTOP)
                    threading.Timer(SILENT_S, os.kill, [running.process.pid, signal.SIGCONT]).start()
                got.append({name: np.array(result.outputs[name]) for name in graph.outputs})
    assert len(got) == FRAMES
    for frame, outputs in zip(frames, got, strict=True):
        want = composed.run(frame)
        assert all(np.array_equal(outputs[name], want[name]) for name in graph.outputs)
