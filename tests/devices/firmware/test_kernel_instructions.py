"""What the kernels cost on a Cortex-M4, in instructions: no more than before, and less than the kernels of CMSIS-NN."""

import shutil
from pathlib import Path

import pytest

from tests.devices.firmware.kernel_bed import BOARD, build
from tests.devices.firmware.network_layers import mobilenet, resnet8, thousands_by_class

# Thousands of instructions with arm-none-eabi-gcc 12.2 -O2, as `python -m tests.devices.firmware.network_layers` prints them.
MOBILENET = {"first": 1247, "depthwise": 4399, "1x1": 8088, "average": 31, "dense": 1}
RESNET8 = {"first": 1168, "kxk": 13370, "add": 631, "1x1": 500, "average": 31, "dense": 2}
SHARE = 0.005
# Instructions per multiplication of CMSIS-NN on MobileNetV1 with three channels, and on whole networks.
BARS = {"1x1": 2.31, "depthwise": 8.57, "first": 6.10}
BAR_MOBILENET, BAR_RESNET8 = 23040, 29730


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in (BOARD, "qemu-system-arm"):
        if not shutil.which(tool):
            pytest.skip(f"needs tool {tool}: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")
    return build(tmp_path_factory.mktemp("m4"), BOARD, "-mcpu=cortex-m4")


def test_mobilenet_costs_as_many_instructions_as_before(program: Path) -> None:
    costs = {kind: thousands for kind, (thousands, _) in thousands_by_class(program, mobilenet(1)).items()}
    assert costs == pytest.approx(MOBILENET, rel=SHARE, abs=1)
    assert sum(costs.values()) < BAR_MOBILENET


def test_resnet8_costs_as_many_instructions_as_before(program: Path) -> None:
    costs = {kind: thousands for kind, (thousands, _) in thousands_by_class(program, resnet8()).items()}
    assert costs == pytest.approx(RESNET8, rel=SHARE, abs=1)
    assert sum(costs.values()) < BAR_RESNET8


@pytest.mark.parametrize("kind", BARS)
def test_a_multiplication_costs_less_than_in_the_kernels_of_arm(program: Path, kind: str) -> None:
    _, each = thousands_by_class(program, mobilenet(3))[kind]
    assert each < BARS[kind]
