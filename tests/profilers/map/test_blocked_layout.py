"""Which kernels are computed in blocks of channels."""

import onnx
import pytest

from edgekit.onnxio import kernel_nodes, load, normalise, read
from edgekit.runtime.verbs import KernelTime
from edgekit.samples import Fused
from profilers.map.blocked_layout import with_blocks
from profilers.map.kernel_descriptions import timed
from profilers.predict.random_stacks import draw_stack
from tests.models import optimized


def conv(channels, made, group=1, side=8):
    return Fused(("Conv",), ((1, channels, side, side),), ((1, made, side, side),), ((made, channels // group, 3, 3),))


def alone(kernel):
    return with_blocks([kernel], [[-1]], [[-1]])[0].blocks


@pytest.mark.parametrize(
    ("kernel", "blocks"),
    [
        (conv(16, 30), (16, 8, 4)),
        (conv(20, 16), (16, 8, 4)),
        (conv(18, 16), ()),
        (conv(3, 16), (16, 8, 4)),  # taken as it is, but for blocks of less than three
        (conv(24, 24, group=24), (16, 8, 4)),
        (conv(32, 32, group=4), (8, 4)),
        (Fused(("MaxPool",), ((1, 24, 8, 8),), ((1, 24, 4, 4),)), (8, 4)),
        (Fused(("Gemm",), ((1, 64),), ((1, 10),), ((10, 64),)), ()),
        (Fused(("Conv",), ((1, 16, 8),), ((1, 16, 8),), ((16, 16, 3),)), ()),
    ],
)
def test_channels_decide_what_is_computed_in_blocks(kernel, blocks):
    assert alone(kernel) == blocks


def test_what_joins_tensors_stays_in_blocks_with_what_feeds_it():
    joined = Fused(("Concat",), ((1, 16, 8, 8), (1, 32, 8, 8)), ((1, 48, 8, 8),))
    kernels = [conv(16, 16), conv(16, 32), joined, conv(18, 32)]
    inside = with_blocks(kernels, [[-1], [-1], [0, 1], [2]], [[2], [2], [3], [-1]])
    assert [kernel.blocks for kernel in inside] == [(16, 8, 4)] * 3 + [()]
    assert (inside[0].before, inside[0].after) == ((), (16, 8, 4))
    assert (inside[2].before, inside[2].after) == ((16, 8, 4), ())
    assert with_blocks([conv(18, 32), joined], [[-1], [0, -1]], [[1], [-1]])[1].blocks == ()


@pytest.mark.parametrize("seed", [1, 5, 15])
def test_onnxruntime_computes_the_convolutions_in_blocks_that_are_said_to_be(seed):
    model = load(normalise(draw_stack(seed)))
    graph = read(model)
    saved = optimized(model)
    nodes, real = kernel_nodes(saved), onnx.load_from_string(saved).graph.node
    normalising = "_bn_nchwc"  # a normalisation between blocks is done as a convolution of each channel by itself
    domains = [node.domain for node in real if node.op_type == "Conv" and not node.name.endswith(normalising)]
    if "com.microsoft.nchwc" not in domains:
        pytest.skip("needs hardware: a processor that onnxruntime has a blocked layout for")
    kernels, _ = timed(graph, model, tuple(KernelTime(name=node.name, op=node.op, seconds=1.0) for node in nodes), nodes)
    convolutions = [sampled.kernel for sampled in kernels if "Conv" in sampled.kernel.ops]
    counts = [sum(width in kernel.blocks for kernel in convolutions) for width in (16, 8)]
    assert sum(domain == "com.microsoft.nchwc" for domain in domains) in counts
