"""What other tools take for the networks of benchmarks/mcu.py: TFLite Micro and emx-onnx-cgen, measured here.

    python benchmarks/mcu_peers.py MODEL... [--json]

TFLite Micro (.tflite only) tells its arena by ``print_allocations`` of its package, which runs on this machine: the head
holds activations and scratch, the tail structures, with pointers of 64 bits. Figures of it on a Cortex-M4 with CMSIS-NN are
quoted from one measurement on mps2-an386; nothing here repeats it.

emx-onnx-cgen writes C from ONNX, which is compiled for a Cortex-M4 with its floating-point unit at -O3 (in this C that takes up
to half of the instructions of -O2) and run once in QEMU: its stack is that of the generated function, its instructions QEMU's
count. Its C of a network in QDQ form computes in float, that of QLinearConv in integers: it gets the network as it is and as
onnxruntime fuses it, so that it is seen at its best in either column.

Every tool gets one input, byte i is (37 i + 11) mod 251 - 125; ``off`` is the largest difference of its outputs from those of
edgekit's reference in NumPy. What a tool refuses is told with its reason.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from devices.mcu.compiler import compile_segment
from devices.mcu.reference import run
from edgekit.errors import EdgekitError
from edgekit.onnxio import from_tflite, normalise

__all__ = ["QUOTED", "Peer", "emx", "main", "pattern", "peers", "quoted", "tflite_micro"]

Numbers = NDArray[np.int8]

COMPILER = "arm-none-eabi-gcc"
FLAGS = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-O3", "-std=gnu11", "-ffunction-sections", "-w")
QEMU = (
    "qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null",
    "-semihosting-config", "enable=on,target=native", "-icount", "shift=6,align=off,sleep=off",
)  # fmt: skip
TICKS = 1.6
"""Of the 25 MHz timer for each instruction of 64 ns."""

ARENA = 16 << 20
"""What TFLite Micro may take of this machine."""

ALLOCATIONS = """
import sys
import numpy
from tflite_micro import runtime
made = runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))
shape = made.get_input_details(0)["shape"]
made.set_input(numpy.fromfile("input", numpy.int8).reshape(shape), 0)
made.invoke()
made.print_allocations()
made.get_output(0).tofile("output")
"""
SCRIPT = """
ENTRY(start)
SECTIONS {
  .text 0x0 : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
  .data 0x20000000 : { *(.data*) }
  .bss : { *(.bss*) *(COMMON) end = .; }
}
"""
MAIN = r"""
#include <stdint.h>
#include "model.h"
static int semihost(int code, const void *what) {
  register int r0 __asm("r0") = code;
  register const void *r1 __asm("r1") = what;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}
#define TIMER ((volatile uint32_t *)0x40000000)
static char text[16 + 2 * BYTES_OUT];
static char *hexadecimal(char *at, uint32_t value, int digits) {
  while (digits-- > 0) *at++ = "0123456789abcdef"[(value >> (4 * digits)) & 15];
  return at;
}
void start(void) {
  *(volatile uint32_t *)0xE000ED88 |= 0xF00000;
  for (int i = 0; i < BYTES_IN; i++) ((int8_t *)input)[i] = (int8_t)((i * 37 + 11) % 251 - 125);
  TIMER[2] = 0xFFFFFFFF; TIMER[1] = 0xFFFFFFFF; TIMER[0] = 1;
  uint32_t before = TIMER[1];
  model(input, output);
  char *at = hexadecimal(text, before - TIMER[1], 8);
  *at++ = ' ';
  for (int i = 0; i < BYTES_OUT; i++) at = hexadecimal(at, ((uint8_t *)output)[i], 2);
  *at++ = '\n'; *at = 0;
  semihost(4, text);
  uint32_t done[2] = {0x20026, 0};
  semihost(0x20, done);
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {(void *)0x22000000, start};
"""


@dataclass(frozen=True)
class Peer:
    """What a tool takes for a network; bytes and instructions, None where it was not measured."""

    model: str
    tool: str
    activation_bytes: int | None
    structure_bytes: int | None
    stack_bytes: int | None
    code_bytes: int | None
    weights_bytes: int | None
    instructions: int | None
    off: int | None
    """The largest difference of its outputs from the reference's."""

    refused: str = ""
    """Why there is nothing to tell."""


QUOTED = {"person_detect": (82_308, 23_040_000), "resnet8_quant": (54_996, 29_730_000)}
"""Bytes of the arena and instructions of TFLite Micro with CMSIS-NN on a Cortex-M4."""


def peers(model: Path) -> list[Peer]:
    """Every tool; what one refuses is a row with the reason."""
    wanted = _wanted(model)
    tools: dict[str, Callable[[Path, Numbers | None], Peer]] = {
        "TFLite Micro": tflite_micro,
        "emx-onnx-cgen": partial(emx, fused=False),
        "emx-onnx-cgen, fused": partial(emx, fused=True),
    }
    rows = quoted(model)
    for name, tool in tools.items():
        try:
            rows.append(tool(model, wanted))
        except subprocess.CalledProcessError as error:
            told = error.stderr if isinstance(error.stderr, str) else (error.stderr or b"").decode(errors="replace")
            rows.append(_refusal(model, name, (told.strip().splitlines() or [str(error)])[-1]))
        except Exception as error:  # whatever a tool does not take
            rows.append(_refusal(model, name, (str(error).strip().splitlines() or [repr(error)])[-1]))
    return rows


def _refusal(model: Path, tool: str, reason: str) -> Peer:
    return Peer(model.name, tool, None, None, None, None, None, None, None, refused=reason)


def pattern(count: int) -> Numbers:
    """The input of every tool."""
    return ((np.arange(count) * 37 + 11) % 251 - 125).astype(np.int8)


def _onnx(model: Path) -> bytes:
    return normalise(from_tflite(model)) if model.suffix == ".tflite" else model.read_bytes()


def _wanted(model: Path) -> Numbers | None:
    """The output of the reference, in the shape of the network; None where it has none, or several ends or other types."""
    try:
        program = compile_segment(_onnx(model))
    except EdgekitError:
        return None
    if len(program.inputs) != 1 or len(program.outputs) != 1 or {program.inputs[0].dtype, program.outputs[0].dtype} != {"int8"}:
        return None
    (end,) = program.inputs
    (found,) = run(program, {end.name: pattern(int(np.prod(end.shape))).reshape(end.shape)}).values()
    return np.asarray(found).ravel()


def _off(output: Numbers, wanted: Numbers | None) -> int | None:
    return None if wanted is None else int(np.abs(wanted.astype(int) - output.astype(int)).max())


def quoted(model: Path) -> list[Peer]:
    """What was measured once elsewhere, where it was; activations and structures are one sum."""
    if model.stem not in QUOTED:
        return []
    arena, instructions = QUOTED[model.stem]
    told = "TFLite Micro, CMSIS-NN, Cortex-M4 (quoted; with structures)"
    return [Peer(model.name, told, arena, None, None, None, None, instructions, None)]


def tflite_micro(model: Path, wanted: Numbers | None = None) -> Peer:
    """The arena of TFLite Micro on this machine."""
    if model.suffix != ".tflite":
        raise ValueError("it reads .tflite only")
    stream = onnxruntime.InferenceSession(_onnx(model), providers=["CPUExecutionProvider"])
    count = int(np.prod(stream.get_inputs()[0].shape))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pattern(count).tofile(folder / "input")
        line = [sys.executable, "-c", ALLOCATIONS, str(model.resolve()), str(ARENA)]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True, timeout=300)
        output = np.fromfile(folder / "output", np.int8)
    told = done.stdout + done.stderr
    found = {part: int(re.findall(rf"Arena allocation {part} (\d+) bytes", told)[-1]) for part in ("head", "tail")}
    size = model.stat().st_size
    return Peer(model.name, "TFLite Micro, x86-64", found["head"], found["tail"], None, None, size, None, _off(output, wanted))


def emx(model: Path, wanted: Numbers | None = None, *, fused: bool = False) -> Peer:
    """The C that emx-onnx-cgen writes, on an emulated Cortex-M4; ``fused``: of the network as onnxruntime fuses it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx = _onnx(model)
        (folder / "net.onnx").write_bytes(_fused(onnx, folder) if fused else onnx)
        source = _generated(folder)
        stack, (code, weights) = _compiled(folder, source)
        instructions, output = _run(folder)
    tool = f"emx-onnx-cgen, -O3{', fused by onnxruntime' if fused else ''}"
    return Peer(model.name, tool, stack, 0, None, code, weights, instructions, _off(output, wanted))


def _fused(onnx: bytes, folder: Path) -> bytes:
    """The network with operators on integers where onnxruntime has one for a group in QDQ form."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "fused.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    return (folder / "fused.onnx").read_bytes()


def _generated(folder: Path) -> str:
    """The C of net.onnx, and a header with its ends."""
    line = [
        sys.executable,
        "-m",
        "emx_onnx_cgen",
        "compile",
        "--large-temp-threshold",
        "0",
        "--large-weight-threshold",
        "0",
        "net.onnx",
        "model.c",
    ]
    subprocess.run([*line, "--model-name", "model"], cwd=folder, check=True, capture_output=True, timeout=600)
    source = (folder / "model.c").read_text()
    found = re.search(
        r"^void model\(const int8_t \w+\[restrict (\d+)\]([\[\]\d]*), int8_t \w+\[restrict (\d+)\]([\[\]\d]*)\) \{", source, re.M
    )
    if found is None:
        raise ValueError("expected one int8 input and one int8 output in its C, got others")
    shapes = [f"[{found[1]}]{found[2]}", f"[{found[3]}]{found[4]}"]
    sizes = [int(np.prod([int(each) for each in re.findall(r"\d+", shape)])) for shape in shapes]
    header = f"static int8_t input{shapes[0]}, output{shapes[1]};\n#define BYTES_IN {sizes[0]}\n#define BYTES_OUT {sizes[1]}\n"
    (folder / "model.h").write_text(f"{header}void model(const int8_t x{shapes[0]}, int8_t y{shapes[1]});\n")
    return source


def _compiled(folder: Path, source: str) -> tuple[int, tuple[int, int]]:
    """Bytes of stack of the function, of code, and of constants; the program is left as net.elf."""
    (folder / "main.c").write_text(MAIN)
    (folder / "link.ld").write_text(SCRIPT)
    subprocess.run([COMPILER, *FLAGS, "-fstack-usage", "-c", "model.c", "main.c"], cwd=folder, check=True, timeout=600)
    link = ["-nostartfiles", "--specs=nosys.specs", "-Wl,--gc-sections", "-T", "link.ld"]
    subprocess.run([COMPILER, *FLAGS, *link, "main.o", "model.o", "-lm", "-o", "net.elf"], cwd=folder, check=True, capture_output=True)
    used = re.findall(r"\t(\d+)\t", (folder / "model.su").read_text())
    told = subprocess.run(["arm-none-eabi-size", "-A", "model.o"], cwd=folder, check=True, capture_output=True, text=True).stdout
    sections = re.findall(r"^\.(\w+)\S*\s+(\d+)", told, re.M)
    code = sum(int(size) for section, size in sections if section == "text")
    constants = sum(int(size) for section, size in sections if section in ("rodata", "data"))
    return max(map(int, used)), (code, constants)


def _run(folder: Path) -> tuple[int, NDArray[np.int8]]:
    """Instructions of one inference, and its output."""
    line = [*QEMU, "-kernel", "net.elf"]
    done = subprocess.run(line, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    ticks, output = (done.stdout + done.stderr).split()[:2]
    return round(int(ticks, 16) / TICKS), np.frombuffer(bytes.fromhex(output), np.int8)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    rows = [peer for model in given.models for peer in peers(model)]
    if given.json:
        print(json.dumps([asdict(peer) for peer in rows]))
        return 0
    for peer in rows:
        print(f"{peer.model}: {peer.tool}")
        told = {name: value for name, value in asdict(peer).items() if name not in ("model", "tool", "refused") and value is not None}
        print("  " + (peer.refused or ", ".join(f"{name} {value:,}" for name, value in told.items())))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
