"""Public quantized networks as programs: what they become, and that each unit computes what onnxruntime computes."""

from collections import Counter

import numpy as np
import pytest

from devices.mcu import reference
from devices.mcu.compiler import compile_segment
from edgekit.onnxio import cut, load, read
from tests.devices.mcu.onnx_networks import computed, drawn, network_bytes

OPERATORS = {
    "person_detect": {"Conv": 15, "Depthwise": 13, "Average": 1, "Softmax": 1},
    "resnet8_quant": {"Conv": 9, "Add": 3, "Average": 1, "Dense": 1, "Softmax": 1},
}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_public_network_is_its_kernels_and_moves_no_byte(name: str) -> None:
    program = compile_segment(network_bytes(name))
    assert Counter(type(operator).__name__ for operator in program.operators) == OPERATORS[name]
    assert program.inputs[0].axes == (0, 2, 3, 1)


@pytest.mark.parametrize("name", OPERATORS)
def test_each_unit_differs_from_onnxruntime_by_one_at_most(name: str) -> None:
    model = load(network_bytes(name))
    graph = read(model)
    tensors = drawn(compile_segment(model.serialized))
    for unit in range(len(graph.units)):
        part, segment = cut(model, graph, unit, unit + 1), graph.segment(unit, unit + 1)
        program = compile_segment(part, segment.inputs, segment.outputs)
        inputs = {tensor.name: tensors[tensor.name] for tensor in segment.inputs}
        wanted, found = computed(part, inputs), reference.run(program, inputs)
        for key, values in wanted.items():
            assert np.abs(values.astype(int) - found[key]).max() <= 1, f"{key} of unit {unit}"
        tensors |= wanted
