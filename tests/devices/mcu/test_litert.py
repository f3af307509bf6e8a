"""Compiled .tflite files in NumPy, bit for bit beside LiteRT with its reference kernels."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from devices.mcu import reference
from devices.mcu.compiler import compile_segment
from devices.mcu.program import Program
from edgekit import onnxio
from tests import litert
from tests.flat_cases import CASES

pytest.importorskip("tflite", reason="needs package tflite")

DATA = Path(__file__).parents[4] / "shared" / "data" / "mcu"
ROUNDS_ONCE = {"dense", "dense, a scale for each output", "dense of three rows"}


def compiled(file: bytes) -> Program:
    return compile_segment(onnxio.normalise(onnxio.from_tflite(file)))


def differences(file: bytes, count: int) -> tuple[int, float]:
    """The largest difference, and the share of numbers that differ."""
    program, oracle, found = compiled(file), litert.interpreter(file), []
    for frame in litert.frames(oracle, count):
        given = {end.name: values for end, values in zip(program.inputs, frame, strict=True)}
        mine = reference.run(program, given).values()
        pairs = zip(mine, litert.results(oracle, frame), strict=True)
        found += [np.abs(a.astype(int) - b.astype(int)).ravel() for a, b in pairs]
    every = np.concatenate(found)
    return int(every.max()), float((every > 0).mean())


@pytest.mark.parametrize("name", [name for name in CASES if name not in ROUNDS_ONCE])
def test_an_operator_equals_that_of_litert(name: str) -> None:
    assert differences(CASES[name](), 12) == (0, 0.0)


@pytest.mark.parametrize("name", sorted(ROUNDS_ONCE))
def test_a_dense_operator_that_litert_rounds_once_is_one_off(name: str) -> None:
    most, share = differences(CASES[name](), 100)
    assert most <= 1
    assert share < 0.01


@cache
def network(name: str) -> bytes:
    path = DATA / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"needs data {path.name}")
    return path.read_bytes()


@pytest.mark.parametrize("name", ["person_detect", "resnet8_quant"])
def test_each_operator_of_a_network_equals_that_of_litert(name: str) -> None:
    found = {index: differences(file, 2) for index, file in enumerate(litert.apart(network(name)))}
    assert {index: each for index, each in found.items() if each[0]} == {}


def test_person_detect_equals_litert() -> None:
    assert differences(network("person_detect"), 5) == (0, 0.0)


def test_resnet8_equals_litert_but_where_that_rounds_once() -> None:
    most, share = differences(network("resnet8_quant"), 5)
    assert most <= 1
    assert share < 0.05


@pytest.mark.parametrize("name", ["person_detect", "resnet8_quant"])
def test_a_network_equals_tflite_micro(name: str) -> None:
    micro = pytest.importorskip("tflite_micro", reason="needs package tflite-micro").runtime
    file = network(name)
    program, oracle, random = compiled(file), micro.Interpreter.from_bytes(file), np.random.default_rng(3)
    for _ in range(5):
        frame = random.integers(-128, 128, program.inputs[0].shape, np.int8)
        oracle.set_input(frame, 0)
        oracle.invoke()
        (mine,) = reference.run(program, {program.inputs[0].name: frame}).values()
        assert mine.tolist() == oracle.get_output(0).tolist()


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["person_detect", "resnet8_quant"])
def test_a_hundred_frames_equal_litert_but_for_dense(name: str) -> None:
    most, share = differences(network(name), 100)
    assert most <= (0 if name == "person_detect" else 1)
    assert share < 0.02
