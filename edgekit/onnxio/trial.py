"""Trying a model in onnxruntime: whether it knows the operators, and what types and shapes its tensors have."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from edgekit.device import CPU
from edgekit.errors import GraphError
from edgekit.onnxio.legal import Bounds, bounds_of
from edgekit.onnxio.weight_bytes import Payloads, join
from edgekit.telemetry import decline

__all__ = ["describe", "feeds_of", "observe", "opened"]

_CHUNK = 64
"""Tensors kept at once while shapes are observed: a compromise of memory against loading the weights again."""

_ELEMENT = {
    **{name: getattr(TensorProto, name.upper()) for name in ("float", "double", "float16", "bfloat16", "bool", "string")},
    **{name: getattr(TensorProto, name.upper()) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")},
    **{
        name: getattr(TensorProto, name.upper())
        for name in ("int4", "uint4", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz")
    },
}


_NUMPY = {"float": "float32", "double": "float64"}


def describe(proto: Any, payloads: Payloads, names: Sequence[str]) -> dict[str, Any]:
    """ONNX types of tensors as onnxruntime infers them, with the shape where it is fixed.

    Raises:
        GraphError: onnxruntime does not load the model; says which operator of which domain it lacks.
    """
    found = {}
    for value in opened(proto, payloads, names).get_outputs():
        kind = _type(value.type)
        # an empty list stands for a scalar as well as for an unknown rank
        if kind is not None and kind.HasField("tensor_type") and value.shape and all(isinstance(size, int) for size in value.shape):
            kind = helper.make_tensor_type_proto(kind.tensor_type.elem_type, value.shape)
        if kind is not None:
            found[value.name] = kind
    return {name: found[name] for name in names if name in found}


def observe(proto: Any, payloads: Payloads, names: Sequence[str], types: Mapping[str, Any]) -> dict[str, tuple[int | None, ...]]:
    """Shapes that tensors had in two runs on differing inputs, None for sizes that differed.

    ``types``: what is known of tensors already; whole numbers keep to what the operators that read them take.
    A tensor is left out where its rank differed, or where the model refuses such inputs.
    """
    shapes: dict[str, tuple[int | None, ...]] = {}
    bounds = bounds_of(proto, types) if names else {}
    for first in range(0, len(names), _CHUNK):
        chunk = list(names[first : first + _CHUNK])
        session = opened(proto, payloads, chunk)
        runs: list[list[Any]] = []
        for seed in range(4):  # token ids, masks and lengths are not free: some choices fail, two have to pass
            try:
                runs.append([np.shape(value) for value in session.run(chunk, feeds_of(session, seed, bounds))])
            except Exception:  # onnxruntime's errors share no base class
                continue
            if len(runs) == 2:
                shapes |= {name: _common(one, two) for name, one, two in zip(chunk, *runs, strict=True) if len(one) == len(two)}
                break
    return shapes


def _common(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int | None, ...]:
    return tuple(size if size == other else None for size, other in zip(one, two, strict=True))


def opened(proto: Any, payloads: Payloads, names: Sequence[str]) -> Any:
    """A session without optimisation, so that every tensor of the model exists, with ``names`` as further outputs."""
    outputs = proto.graph.output
    count = len(outputs)
    have = {value.name for value in outputs}
    for name in names:
        if name not in have:
            outputs.add(name=name)
    data = join(proto, payloads)
    del outputs[count:]
    decline()
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(data, options, providers=[CPU])
    except Exception as error:
        raise GraphError(_plain(str(error), proto, f"onnxruntime {ort.__version__}")) from error


def _plain(message: str, proto: Any, version: str) -> str:
    domains = {node.op_type: node.domain for node in proto.graph.node}
    if match := re.search(r"Fatal error: (\S*):([^\s(]+)\(-?\d+\) is not a registered", message):
        return f"{version} has no operator {match[2]} of domain {match[1] or 'ai.onnx'}; export without it, or install a build that has it"
    if match := re.search(r"No Op registered for (\S+) with domain_version of (\d+)", message):
        domain = domains.get(match[1]) or "ai.onnx"
        return f"{version} has no operator {match[1]} of domain {domain} in version {match[2]}; export with another opset"
    if match := re.search(r"Could not find an implementation for ([^\s(]+)\((\d+)\) node with name '(.*?)'", message):
        domain = domains.get(match[1]) or "ai.onnx"
        return f"{version} cannot run node {match[3]}: operator {match[1]} of domain {domain} has no kernel for its types; export in fp32"
    if match := re.search(r"Opset (\d+) is under development|support for opset \D*(\d+)", message):
        return (
            f"{version} is older than the model's opset {match[1] or match[2]}; export with an older opset, or install a newer onnxruntime"
        )
    reason = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", message)
    reason = re.sub(r"^\S+onnxruntime/\S+:\d+ .*?\) ", "", reason.replace("\n", " ").strip())
    return f"{version} cannot load the model: {reason[:300]}; check it and the shapes given with --input"


def _type(text: str) -> Any:
    """The ONNX type that onnxruntime writes as ``tensor(float)``, ``seq(tensor(int64))``, …"""
    outer, _, rest = text.partition("(")
    rest = rest[:-1]
    if outer in ("tensor", "sparse_tensor"):
        return helper.make_tensor_type_proto(_ELEMENT[rest], None) if rest in _ELEMENT else None
    key, comma, element = rest.partition(",") if outer == "map" else ("", "", rest)
    inner = _type(element)
    if inner is None:
        return None
    if outer == "map":
        return helper.make_map_type_proto(_ELEMENT[key], inner)
    return helper.make_sequence_type_proto(inner) if outer == "seq" else helper.make_optional_type_proto(inner)


def feeds_of(session: Any, seed: int, bounds: Mapping[str, Bounds]) -> dict[str, Any]:
    """Inputs of a session, drawn; whole numbers are all the same, and within bounds where some are known."""
    random = np.random.default_rng(seed)
    feeds = {}
    for value in session.get_inputs():
        kind = value.type.removeprefix("tensor(").removesuffix(")")
        shape = tuple(value.shape)
        if value.name in bounds and bounds[value.name] != (0, 2):
            low, high = bounds[value.name]
            feeds[value.name] = np.full(shape, low + seed % (high - low), dtype=_NUMPY.get(kind, kind))
        elif kind in ("float", "double", "float16"):
            feeds[value.name] = random.standard_normal(shape).astype(_NUMPY.get(kind, kind))
        elif kind == "string":
            feeds[value.name] = np.full(shape, "a b"[: 1 + 2 * (seed % 2)], dtype=object)
        else:
            feeds[value.name] = np.full(shape, seed, dtype=kind)
    return feeds
