"""The profile of a graph that a device has never run, from a predictor fitted to other networks there."""

from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.stages.onnxruntime_memory import ONNXRUNTIME_MEMORY
from profilers.map.kernel_descriptions import main_op
from profilers.predict.predictor import Predictor, predict_kernels, predict_whole

__all__ = ["predict_profile"]


def predict_profile(graph: Graph, model: Model, predictor: Predictor) -> Profile:
    """Kernels with their units, and the whole; every figure is estimated, as the profile's badge says.

    The partitioner takes it as any other profile; segments that are measured later are measured under its conditions.
    """
    samples = predictor.samples
    guesses = predict_kernels(predictor, graph, model)
    kernels = tuple(
        Kernel(f"{main_op(one.kernel.ops)} {place}", "+".join(one.kernel.ops), one.seconds, (one.unit,))
        for place, one in enumerate(guesses)
    )
    p10_s, error = predict_whole(predictor, guesses), predictor.error
    usual = predictor.usual
    whole = SegmentTime(0, len(graph.units), p10_s, p10_s * usual, p10_s * max(usual, 1 + error.p90), p10_s * error.p50, 1)
    return Profile(
        graph.digest,
        samples.device,
        len(graph.units),
        samples.variant,
        samples.conditions,
        kernels,
        (whole,),
        base_bytes=samples.base_bytes,
        emulated=samples.emulated,
        badge="estimated",
        library_bytes=samples.library_bytes,
        memory_model=ONNXRUNTIME_MEMORY,
    )
