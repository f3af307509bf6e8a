"""The executor in C runs random programs in one arena as NumPy does with a buffer for each tensor, and refuses corrupt tables."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.mcu.compiler import compile_segment
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.planner import plan_memory
from devices.mcu.program import Program
from tests.devices.firmware.executor_bed import Case, answers, case_of, expected, fuzzed
from tests.devices.firmware.host_build import built, sources
from tests.devices.mcu.plans import plan_apart
from tests.devices.mcu.random_programs import random_inputs, random_program

SEEDS = range(200)
DATA = Path(__file__).parents[4] / "shared/data/mcu"
Bytes = NDArray[np.int8]


@pytest.fixture(scope="module", params=["EDGE_DSP=0", "EDGE_DSP=1"])
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = [*sources("kernels", "executor"), Path(__file__).with_name("executor_driver.c")]
    return built(tmp_path_factory.mktemp("driver"), files, defines=[request.param])


class Run(NamedTuple):
    """A program with its plan, as a case of the driver, and what its outputs are."""

    name: str
    program: Program
    plan: MemoryPlan
    case: Case
    wanted: Sequence[Bytes]


@cache
def of_numpy(seed: int) -> tuple[Program, Sequence[Bytes], Sequence[Bytes]]:
    """A random program, its inputs and outputs; alike for every build and every plan."""
    program = random_program(seed)
    inputs = random_inputs(program, seed)
    return program, inputs, expected(program, inputs)


@cache
def random_runs(planned: Callable[[Program], MemoryPlan]) -> list[Run]:
    runs = []
    for seed in SEEDS:
        program, inputs, wanted = of_numpy(seed)
        plan = planned(program)
        runs.append(Run(f"seed {seed}", program, plan, case_of(program, plan, inputs, in_flash=seed % 2 == 0), wanted))
    return runs


@cache
def network_runs(network: str) -> list[Run]:
    path = DATA / f"{network}.onnx"
    if not path.is_file():
        pytest.skip(f"needs data {network}")
    program = compile_segment(path.read_bytes())
    plan = plan_memory(program)
    inputs = [random_inputs(program, seed) for seed in range(3)]
    return [Run(network, program, plan, case_of(program, plan, each), expected(program, each)) for each in inputs]


@pytest.mark.parametrize("planned", [plan_apart, plan_memory])
def test_random_programs_run_as_in_numpy(driver: Path, tmp_path: Path, planned: Callable[[Program], MemoryPlan]) -> None:
    assert_as_in_numpy(driver, tmp_path, random_runs(planned))


@pytest.mark.parametrize("network", ["person_detect", "resnet8_quant"])
def test_a_network_runs_as_in_numpy(driver: Path, tmp_path: Path, network: str) -> None:
    assert_as_in_numpy(driver, tmp_path, network_runs(network))


def assert_as_in_numpy(driver: Path, folder: Path, runs: Sequence[Run]) -> None:
    """Both runs leave the outputs of NumPy, whatever the arena was filled with, and touch what was planned to the last byte."""
    for run, answer in zip(runs, answers(driver, [each.case for each in runs], folder), strict=True):
        assert answer.code == 0, (run.name, answer)
        for end, wanted in zip(run.program.outputs, run.wanted, strict=True):
            at = run.plan.offsets[end.buffer]
            for arena in answer.arenas:
                np.testing.assert_array_equal(arena[at : at + len(wanted)], wanted, f"{run.name}, output {end.name}")
        assert answer.touched() == run.plan.arena_bytes, run.name


def fuzz_cases() -> list[Case]:
    """Small programs, in which every operator turns up."""
    programs = [random_program(seed, most=6) for seed in range(30)]
    return [
        case_of(program, plan_apart(program), random_inputs(program, 0), in_flash=seed % 3 == 0) for seed, program in enumerate(programs)
    ]


def test_a_mutant_of_a_table_touches_nothing_outside(driver: Path, tmp_path: Path) -> None:
    counts = np.array(fuzzed(driver, "fuzz", fuzz_cases(), tmp_path, seed=1, count=4000)).sum(axis=0)
    assert counts.sum() == 120_000
    assert (counts[[0, *range(2, 13)]] > 0).all(), "every answer of the check but that of alignment turns up"


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_mutants_touch_nothing_outside(driver: Path, tmp_path: Path, seed: int) -> None:
    fuzzed(driver, "fuzz", fuzz_cases(), tmp_path, seed=seed, count=20_000)


def test_a_mutant_of_a_blob_is_refused_or_read_within(driver: Path, tmp_path: Path) -> None:
    cases = [case for case in fuzz_cases() if case.ram]
    counts = np.array(fuzzed(driver, "blobs", cases, tmp_path, seed=1, count=2000))
    assert 0 < counts[:, 0].sum() < 2000 * len(cases)
