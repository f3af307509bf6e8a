"""Claim: a quantized network takes no more RAM on a microcontroller than its operators need at least, and fewer instructions than others.

    python benchmarks/mcu.py MODEL... [--board BOARD] [--inputs N]

Each MODEL (.tflite, or ONNX as QDQ or QLinear) is compiled, planned, and run on a board in QEMU, by the firmware and over the
serial line as in a pipeline; the same files go to TFLite Micro and emx-onnx-cgen (benchmarks/mcu_peers.py says how those are
measured and what is quoted). The board paints its arena with two patterns, so that each byte that it touches is seen.

    arena       bytes for activations and scratch          structures  what lies in RAM beside them: here the table
    stack       the most that was used; that of emx-onnx-cgen holds its activations
    code        here of kernels, executor and agent        weights     constants in flash
    outputs     here: equal to the NumPy reference, bit by bit; of others: the largest difference from it

Instructions are counted by QEMU and are the same in every run; they are no cycles. Those of an operator are divided by its
multiplications, or by its outputs (in brackets) where it has none. The last line is JSON.

Exit code 1 where a bar is missed (each is printed), or edgekit refuses a model. A tool that refuses one is told with its reason.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.mcu_board import Row, measured
from benchmarks.mcu_peers import QUOTED, Peer, peers
from devices.mcu.boards import board
from edgekit.errors import EdgekitError

__all__ = ["Bar", "bars", "main", "told"]

ABOVE_BOUND = 1.05
MOST_CODE = 32 << 10
BOUNDS = {"person_detect": 37_248, "resnet8_quant": 33_792}
"""What the worst operator alone needs with its output over its input, as was computed by hand."""

HALVED = ("person_detect",)
"""Networks that have to run in half of TFLite Micro's arena, structures included."""

WIDTHS = (46, 12, 12, 12, 12, 10, 12, 14, 10)
HEAD = ("", "arena", "structures", "sum", "stack", "code", "weights", "instructions", "outputs")


class Bar(NamedTuple):
    """A measured value and its upper limit; the benchmark fails where the value is larger."""

    name: str
    got: int
    most: int

    @property
    def kept(self) -> bool:
        return self.got <= self.most


def bars(row: Row) -> Iterator[Bar]:
    """The promises for a network."""
    stem = Path(row.model).stem
    yield Bar("outputs that differ", row.inputs - row.equal, 0)
    yield Bar("bytes touched but not planned, or planned but not touched", abs(row.touched_bytes - row.arena_bytes), 0)
    yield Bar("arena, by the bound", row.arena_bytes, int(ABOVE_BOUND * row.bound_bytes))
    if stem in BOUNDS:
        yield Bar("arena, by the bound computed by hand", row.arena_bytes, int(ABOVE_BOUND * BOUNDS[stem]))
    if stem in HALVED:
        yield Bar("arena and structures, by half of TFLite Micro's", row.arena_bytes + row.table_bytes, QUOTED[stem][0] // 2)
    if stem in QUOTED:
        yield Bar("instructions, by TFLite Micro with CMSIS-NN", row.instructions, QUOTED[stem][1])
    yield Bar("code of kernels, executor and agent", row.own_code_bytes, MOST_CODE)


def told(row: Row) -> str:
    """Our line, what makes it up, and the bars."""
    values = [row.arena_bytes, row.table_bytes, row.arena_bytes + row.table_bytes, row.stack_bytes, row.own_code_bytes]
    lines = [_line(f"edgekit on {row.board}", *values, row.weights_bytes, row.instructions, f"{row.equal} of {row.inputs}")]
    lines.append(f"    touched {row.touched_bytes:,}, bound {row.bound_bytes:,}; whole firmware {row.firmware_bytes:,}:")
    lines.append("    " + ", ".join(f"{name} {nbytes:,}" for name, nbytes in row.code_bytes.items()))
    for name, cost in row.classes.items():
        each = f"{cost.instructions / cost.macs:.2f} per MAC" if cost.macs else f"({cost.instructions / cost.outputs:.1f} per output)"
        lines.append(f"    {name:<16} {cost.instructions:>12,} instructions   {each}")
    for bar in bars(row):
        lines.append(f"    {'kept' if bar.kept else 'MISSED'}: {bar.name}: {bar.got:,}, at most {bar.most:,}")
    return "\n".join(lines)


def _line(*cells: object) -> str:
    shown = ["-" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells]
    return "  " + shown[0].ljust(WIDTHS[0]) + "".join(cell.rjust(width) for cell, width in zip(shown[1:], WIDTHS[1:], strict=True))


def _peer(peer: Peer) -> str:
    if peer.refused:
        return f"  {peer.tool}: refused: {peer.refused}"
    parts = (peer.activation_bytes, peer.structure_bytes)
    known = [part for part in parts if part is not None]
    apart = parts if len(known) == 2 else (None, None)
    off = None if peer.off is None else f"off by {peer.off}" if peer.off else "equal"
    return _line(peer.tool, *apart, sum(known), peer.stack_bytes, peer.code_bytes, peer.weights_bytes, peer.instructions, off)


def _network(model: Path, board_name: str, inputs: int) -> dict[str, Any]:
    """Measure and print one network; what of it goes into JSON."""
    print(f"{model.name}\n{_line(*HEAD)}", flush=True)
    found: dict[str, Any] = {"model": model.name}
    try:
        row = measured(model, board(board_name), inputs)
    except EdgekitError as error:
        found["refused"], found["kept"] = str(error), False
        print(f"  edgekit: refused: {error}", flush=True)
    else:
        found["edgekit"] = asdict(row)
        found["bars"] = [{**bar._asdict(), "kept": bar.kept} for bar in bars(row)]
        found["kept"] = all(bar.kept for bar in bars(row))
        print(told(row), flush=True)
    others = peers(model)
    found["peers"] = [asdict(peer) for peer in others]
    print("\n".join(map(_peer, others)), flush=True)
    return found


def main() -> int:
    """Measure the models of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--board", default="mps2-an386")
    parser.add_argument("--inputs", type=int, default=2)
    options = parser.parse_args()
    networks = [_network(model, options.board, options.inputs) for model in options.models]
    print(json.dumps(networks))
    return 0 if all(network["kept"] for network in networks) else 1


if __name__ == "__main__":
    sys.exit(main())
