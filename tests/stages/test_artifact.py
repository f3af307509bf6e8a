"""What an engine loads for a segment."""

from edgekit.device import Variant
from edgekit.onnxio import cut
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.artifact import Codecs, build
from tests.models import skipping

NET = skipping()


def test_onnxruntime_loads_the_segment_as_onnx() -> None:
    made = build(NET.model, NET.graph, 0, 3, Variant())
    assert made.data == made.onnx == cut(NET.model, NET.graph, 0, 3)
    assert made.digest == digest_of(made.data)
    segment = NET.graph.segment(0, 3)
    assert (made.inputs, made.outputs) == (segment.inputs, segment.outputs)


def test_an_artifact_reads_and_makes_what_travels() -> None:
    segment = NET.graph.segment(0, 3)
    inputs = [(tensor, "raw") for tensor in segment.inputs]
    made = build(NET.model, NET.graph, 0, 3, Variant(), codecs=Codecs(inputs, [(segment.outputs[0], "fp16")]))
    name = segment.outputs[0].name
    assert [(each.name, each.dtype) for each in made.outputs] == [(f"{name}::fp16", "float16")]
    assert run_once(made.data, NET.inputs())[f"{name}::fp16"].dtype == "float16"
    raw = Codecs(inputs, [(tensor, "raw") for tensor in segment.outputs])
    assert build(NET.model, NET.graph, 0, 3, Variant(), codecs=raw) == build(NET.model, NET.graph, 0, 3, Variant())
