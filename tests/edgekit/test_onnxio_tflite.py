"""Networks from .tflite files, run by onnxruntime beside LiteRT's reference kernels."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from edgekit import api, onnxio
from edgekit.errors import GraphError, UsageError
from edgekit.onnxio.flat_file import read_flat
from tests import litert
from tests.flat_cases import CASES, conv, made
from tests.litert import Given, flat

pytest.importorskip("tflite", reason="needs package tflite")

DATA = Path(__file__).parents[3] / "shared" / "data" / "mcu"
NETWORKS = ["person_detect", "resnet8_quant"]


def bytes_of(name: str) -> bytes:
    path = DATA / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"needs data {path.name}")
    return path.read_bytes()


def run(model: bytes, frame: list[NDArray[Any]]) -> list[NDArray[Any]]:
    stream = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    given = {each.name: values for each, values in zip(stream.get_inputs(), frame, strict=True)}
    return [np.asarray(each) for each in stream.run(None, given)]


def differences(file: bytes, count: int = 6) -> int:
    """The largest difference between onnxruntime and LiteRT."""
    model, oracle, worst = onnxio.normalise(onnxio.from_tflite(file)), litert.interpreter(file), 0
    for frame in litert.frames(oracle, count):
        for mine, other in zip(run(model, frame), litert.results(oracle, frame), strict=True):
            assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
            worst = max(worst, int(np.abs(mine.astype(int) - other.astype(int)).max()))
    return worst


@pytest.mark.parametrize("name", CASES)
def test_an_operator_differs_from_litert_by_one_at_most(name: str) -> None:
    assert differences(CASES[name]()) <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_of_a_network_differs_by_one_at_most(name: str) -> None:
    assert [index for index, file in enumerate(litert.apart(bytes_of(name))) if differences(file, 3) > 1] == []


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_keeps_its_ends_scales_weights_and_biases(name: str) -> None:
    data = bytes_of(name)
    file, model = read_flat(data, name), onnx.load_from_string(onnxio.from_tflite(data))
    for tensor, end in zip((*file.inputs, *file.outputs), (*model.graph.input, *model.graph.output), strict=True):
        assert (file.tensors[tensor].name, file.tensors[tensor].shape) == (
            end.name,
            tuple(dim.dim_value for dim in end.type.tensor_type.shape.dim),
        )
    held = {onnx.numpy_helper.to_array(weight).astype(float).tobytes() for weight in model.graph.initializer}
    sums = {np.sort(onnx.numpy_helper.to_array(weight).astype(float), axis=None).tobytes() for weight in model.graph.initializer}
    for operator in file.operators:
        for index in (*operator.inputs, *operator.outputs):
            tensor = file.tensors[index]
            if len(tensor.scales):
                assert np.squeeze(tensor.scales).astype(float).tobytes() in held
            if tensor.values is not None and len(tensor.scales):
                assert np.sort(tensor.values.astype(float), axis=None).tobytes() in sums


@pytest.mark.parametrize("name", NETWORKS)
def test_images_are_transposed_at_the_ends_only(name: str) -> None:
    model = onnx.load_from_string(onnxio.from_tflite(bytes_of(name)))
    transposed = [node.input[0] for node in model.graph.node if node.op_type == "Transpose"]
    assert transposed[0] == model.graph.input[0].name
    assert len(transposed) == 2, "one at the input, one before the rows of the classifier"


def test_a_file_of_unsigned_numbers_keeps_them() -> None:
    tensors = [Given((1, 3, 4, 2), 0.05, 120, dtype="uint8"), Given((1, 3, 4, 2), 0.05, -8)]
    assert differences(flat("QUANTIZE", made("QuantizeOptionsT"), tensors, [0], [1])) == 0
    assert differences(flat("DEQUANTIZE", made("DequantizeOptionsT"), [tensors[0], Given((1, 3, 4, 2), dtype="float32")], [0], [1])) == 0


def test_export_takes_a_file_by_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(CASES["dense"]())
    graph = api.export(tmp_path / "net.tflite", tmp_path / "net.onnx")
    assert [tensor.name for tensor in (*graph.cuts[0].tensors, *graph.cuts[-1].tensors)] == ["t0", "t3"]
    (tmp_path / "net.bin").write_bytes(CASES["dense"]())
    with pytest.raises(GraphError, match="got a .tflite file, which edgekit export takes under a name that ends in .tflite"):
        api.export(tmp_path / "net.bin", tmp_path / "other.onnx")


def refusal(data: bytes) -> str:
    with pytest.raises(GraphError) as raised:
        onnxio.from_tflite(data)
    return str(raised.value)


def test_an_unknown_operator_is_refused_by_name_and_index() -> None:
    told = refusal(flat("FLOOR_MOD", None, [Given((1, 4), 0.1, 0), Given((1, 4), 0.1, 0)], [0, 0], [1]))
    assert "got FLOOR_MOD (operator 0); it reads ADD, AVERAGE_POOL_2D," in told


def test_a_custom_operator_is_refused_by_its_name() -> None:
    model = litert.unpacked(conv((1, 5, 4, 7), (1, 1), 9))
    kind = model.operatorCodes[0]
    kind.builtinCode, kind.deprecatedBuiltinCode, kind.customCode = 32, 32, "MyConv"
    assert "got CUSTOM MyConv (operator 0)" in refusal(litert.packed(model))


def test_a_tensor_kept_between_frames_is_refused() -> None:
    model = litert.unpacked(conv((1, 5, 4, 7), (1, 1), 9))
    model.subgraphs[0].tensors[0].isVariable = True
    assert "tensor 0, t0, is kept from one frame to the next" in refusal(litert.packed(model))


def test_numbers_of_sixteen_bits_are_refused() -> None:
    model = litert.unpacked(CASES["tanh"]())
    for tensor in model.subgraphs[0].tensors:
        tensor.type = 7
    assert "got int16 in t0" in refusal(litert.packed(model))


def test_an_activation_that_is_not_known_is_refused() -> None:
    assert "operator 0, CONV_2D: its activation number 4 is not known" in refusal(conv((1, 5, 4, 7), (1, 1), 9, activation=4))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "got 0 bytes without its mark"),
        (b"PK" + bytes(100), "got 102 bytes without its mark"),
        (b"\x08\x00\x00\x00TFL3", "damaged or cut short"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(64), "damaged or cut short"),
    ],
)
def test_another_file_is_refused(data: bytes, told: str) -> None:
    assert told in refusal(data)


def test_a_file_cut_short_or_changed_never_ends_in_a_crash() -> None:
    data = CASES["conv 3×3, same, stride 2, even"]()
    random, refused = np.random.default_rng(5), 0
    for trial in range(400):
        damaged = bytearray(data[: random.integers(12, len(data))] if trial % 2 else data)
        for at in random.integers(8, len(damaged), 3):
            damaged[at] = random.integers(256)
        try:
            onnxio.normalise(onnxio.from_tflite(bytes(damaged)))
        except GraphError:
            refused += 1
    assert refused > 100


def test_a_missing_package_is_told_with_the_line_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "tflite":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'edgekit\[mcu\]'"):
        onnxio.from_tflite(b"\x08\x00\x00\x00TFL3")
