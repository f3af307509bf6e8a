"""Nouns that hypothesis draws from the types of their fields, bounds included, so that a new field is drawn at once."""

from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from edgekit.accuracy.output_error import Accuracy
from edgekit.calibration import Calibration
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import CPU, ONNXRUNTIME, SUFFIX, Device, Variant
from edgekit.energy import Energy
from edgekit.front import Front
from edgekit.graph import Graph
from edgekit.measured import Measured
from edgekit.memory_model import MemoryEquations, MemoryTable, SegmentBytes
from edgekit.plan import Plan
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.residuals import Residuals
from edgekit.survey import Survey
from edgekit.trace import Trace
from edgekit.tuning import Tuning

__all__ = ["NOUNS", "clusters", "nouns", "profiles"]

LARGEST = 2**63 - 1  # what JSON integers are read into everywhere


@cache
def nouns(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any value of a noun's type; Cluster, Profile and Variant also keep their fields in agreement."""
    return {Cluster: clusters, Profile: profiles, Variant: _variants}.get(kind, lambda: _struct(kind))()


NOUNS = (Graph, Device, Cluster, Profile, Plan, Front, Trace, Survey, Energy, Residuals, Accuracy, Tuning, Calibration, Measured)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Devices and a client with names of their own, and links between those names, wildcards included."""
    client, *names = draw(st.lists(st.text(min_size=1).filter(lambda name: name != ANY), min_size=2, max_size=5, unique=True))
    devices = tuple(draw(_struct(Device, name=st.just(name))) for name in names)
    ends = st.sampled_from((ANY, client, *names))
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=5, unique=True))
    ways = {"shaped": st.just(False)}, {"relay": st.just(False)}  # a link can be one of the two
    links = tuple(
        draw(_struct(Link, source=st.just(source), receiver=st.just(receiver), **draw(st.sampled_from(ways)))) for source, receiver in pairs
    )
    return draw(_struct(Cluster, devices=st.just(devices), links=st.just(links), client=st.just(client)))


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Kernels and segments that lie within the units of their graph."""
    count = draw(st.integers(1, 30))
    units = st.lists(st.integers(0, count - 1), max_size=4, unique=True).map(lambda drawn: tuple(sorted(drawn)))
    ranges = st.lists(st.integers(0, count), min_size=2, max_size=2, unique=True).map(sorted)
    kernels = st.lists(_kernels(units), max_size=5).map(tuple)
    segments = tuple(
        draw(_struct(SegmentTime, start=st.just(start), stop=st.just(stop))) for start, stop in draw(st.lists(ranges, max_size=4))
    )
    rows = draw(st.lists(ranges.flatmap(lambda ends: _struct(SegmentBytes, start=st.just(ends[0]), stop=st.just(ends[1]))), max_size=3))
    model = _struct(MemoryEquations) | st.just(MemoryTable(tuple(rows)))
    barred = st.lists(st.tuples(st.integers(0, count - 1), st.text(max_size=12)), max_size=3).map(tuple)
    drawn = {"kernels": kernels, "segments": st.just(segments), "memory_model": model, "cannot_run": barred}
    return draw(_struct(Profile, unit_count=st.just(count), **drawn))


@st.composite
def _kernels(draw: st.DrawFn, units: st.SearchStrategy[tuple[int, ...]]) -> Kernel:
    """Kernels with a share for each unit, or none."""
    own = draw(units)
    weights = draw(st.just([]) | st.lists(st.integers(1, 9), min_size=len(own), max_size=len(own)))
    return draw(_struct(Kernel, units=st.just(own), shares=st.just(tuple(weight / sum(weights) for weight in weights))))


def _variants() -> st.SearchStrategy[Variant]:
    """An execution provider of onnxruntime, or another engine without one."""
    provider = st.text(max_size=12).map(lambda name: name + SUFFIX)
    one = _struct(Variant, engine=st.just(ONNXRUNTIME), provider=provider)
    return one | _struct(Variant, provider=st.just(CPU))


def _struct(kind: type[msgspec.Struct], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **(_fields(kind) | given))


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, st.SearchStrategy[Any]]:
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    return {field.name: st.just(field.default) if field.name == "version" else _field(field.type) for field in shape.fields}


def _field(shape: inspect.Type) -> st.SearchStrategy[Any]:
    match shape:
        case inspect.StructType(kind):
            return nouns(kind)
        case inspect.VarTupleType(item, min_length):
            return st.lists(_field(item), min_size=min_length or 0, max_size=4).map(tuple)
        case inspect.TupleType(types):
            return st.tuples(*(_field(each) for each in types))
        case inspect.UnionType(types):
            return st.one_of(*(_field(each) for each in types))
        case inspect.LiteralType(values):
            return st.sampled_from(values)
        case inspect.IntType(ge=least, le=most):
            return st.integers(-LARGEST if least is None else least, LARGEST if most is None else most)
        case inspect.FloatType(gt, ge, _, le):
            bounds = {"min_value": ge if gt is None else gt, "max_value": le, "exclude_min": gt is not None}
            return st.floats(allow_nan=False, allow_infinity=False, **bounds)
        case inspect.StrType(min_length):
            return st.text(min_size=min_length or 0, max_size=12)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise NotImplementedError(f"no strategy for {shape}")
