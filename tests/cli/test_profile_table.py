"""What ``edgekit profile`` prints of a board: ticks and memory of each operator, and its line."""

import pytest
from msgspec import structs

from edgekit.cli.profile_table import print_profiles
from edgekit.memory_model import MemoryTable, SegmentBytes
from edgekit.serial_line import SerialLine
from edgekit.ticks import Ticks
from tests.partitioner.instances import profile_of, straight

GRAPH = straight([8, 8, 8])


def test_operators_of_a_board_come_with_ticks_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    profile = profile_of(GRAPH, "mcu", [1.0, 2.0])
    kernels = tuple(structs.replace(each, ticks=Ticks(1500, "insn")) for each in profile.kernels)
    rows = MemoryTable((SegmentBytes(0, 1, 0, 2048, 4096), SegmentBytes(1, 2, 0, 1024, 512)))
    line = SerialLine(latency_s=0.25, in_s_per_byte=5e-5, out_s_per_byte=1e-5)
    print_profiles(GRAPH, [structs.replace(profile, kernels=kernels, memory_model=rows, line=line, runs_on="mcu")])
    out = capsys.readouterr().out
    assert "1.5 k insn" in out and "2 KiB" in out and "4 KiB" in out
    assert "mcu: serial line 250 ms for each frame, 50 µs for each byte in, 10 µs for each byte out" in out
