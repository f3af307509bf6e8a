"""Calibrates the description of a machine: measures micro-networks on it, and fits what each kind of kernel costs."""

import statistics
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.connection import Connection, Measured, Work, works
from edgekit.calibration import Calibration, Fitted, KindCost
from edgekit.device import Variant
from edgekit.graph.work_kinds import KINDS
from edgekit.onnxio import draft, load, read
from edgekit.progress import Tell, silent
from edgekit.stages.artifact import build, upload
from profilers.measure.measured_conditions import conditions_of
from profilers.measure.segments import request_for
from profilers.predict.micro_networks import Micro, micro_networks

__all__ = ["calibrate", "nonnegative"]

Array = NDArray[np.float64]

CACHES = tuple(2**power for power in range(18, 28))
"""Sizes of last-level caches to choose from, 256 KiB to 128 MiB: the one that explains the samples best is taken."""

PRODUCTS = KINDS[:4]


class _Sample(NamedTuple):
    """A network by what it asks for, and how long it took."""

    name: str
    works: tuple[Work, ...]
    seconds: float


class _Fit(NamedTuple):
    costs: tuple[KindCost, ...]
    overhead_s: float
    weight_s_per_byte: float
    stream_s_per_byte: float
    cache_bytes: int
    networks: tuple[Fitted, ...]


def calibrate(
    connection: Connection,
    *,
    variant: Variant | None = None,
    budget_s: float = 0.3,
    tell: Tell = silent,
    networks: Iterable[Micro] | None = None,
) -> Calibration:
    """What a machine's kernels cost in a variant, from about forty micro-networks, each measured for ``budget_s``.

    Raises:
        DeviceError: conditions changed meanwhile, such as its clocks.
    """
    variant = variant or connection.device.variant
    before = connection.facts()
    samples, bursts = [], []
    chosen = list(micro_networks() if networks is None else networks)
    for done, micro in enumerate(chosen):
        tell(f"{done + 1} of {len(chosen)}: {micro.name}", done, len(chosen))
        sample, measured = _measure(micro, connection, variant, budget_s)
        samples.append(sample)
        bursts.append(measured)
    found = _fit(samples)
    after = connection.facts()
    errors = [abs(each.fitted_s / each.measured_s - 1) for each in found.networks]
    return Calibration(
        connection.device.name,
        variant,
        conditions_of(connection, before, after, bursts, variant),
        *found[:5],
        statistics.median(errors),
        max(errors),
        found.networks,
        connection.device.memory_bytes or after.machine.memory_bytes,
    )


def _fit(samples: Sequence[_Sample]) -> _Fit:
    """The costs, none below zero, that explain the samples best in relative terms; for the cache size that does so best."""
    measured = np.array([sample.seconds for sample in samples])
    fits = ((nonnegative(_columns(samples, size) / measured[:, None], np.ones(len(samples))), size) for size in CACHES)
    values, cache_bytes = min(fits, key=lambda each: float(np.sum((_columns(samples, each[1]) @ each[0] / measured - 1) ** 2)))
    overhead_s, weight_s, stream_s, *rest = map(float, values)
    per_mac = dict(zip(PRODUCTS, rest, strict=False))
    per_byte = dict(zip(KINDS, rest[len(PRODUCTS) :], strict=True))
    costs = tuple(KindCost(kind, per_mac.get(kind, 0.0), per_byte[kind]) for kind in KINDS)
    fitted = map(float, _columns(samples, cache_bytes) @ values)
    networks = tuple(Fitted(sample.name, sample.seconds, seconds) for sample, seconds in zip(samples, fitted, strict=True))
    return _Fit(costs, overhead_s, weight_s, stream_s, cache_bytes, networks)


def nonnegative(a: Array, b: Array) -> Array:
    """The x without negative elements for which ``a @ x`` is nearest to ``b``; unused columns get 0.

    Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23: columns join one by one, the steepest first, and
    leave where the solution over those that joined would turn negative.
    """
    scale = np.linalg.norm(a, axis=0)
    a = a / np.where(scale > 0, scale, 1.0)
    x = np.zeros(a.shape[1])
    joined = np.zeros(a.shape[1], dtype=bool)
    while True:
        slope = np.where(joined, -np.inf, a.T @ (b - a @ x))
        best = int(np.argmax(slope))
        if slope[best] <= 1e-10 * np.linalg.norm(b):
            return np.asarray(x / np.where(scale > 0, scale, 1.0))
        joined[best] = True
        while True:
            step = np.zeros_like(x)
            step[joined] = np.linalg.lstsq(a[:, joined], b, rcond=None)[0]
            below = joined & (step <= 0)
            if not below.any():
                break
            way = np.min(x[below] / (x[below] - step[below]))
            x = x + way * (step - x)
            joined &= x > 1e-14
            x[~joined] = 0.0
        x = step


def _measure(micro: Micro, connection: Connection, variant: Variant, budget_s: float) -> tuple[_Sample, Measured]:
    model = load(draft(micro.shape, micro.layers))
    graph = read(model)
    whole = graph.segment(0, len(graph.units))
    digest = upload(build(model, graph, 0, len(graph.units), variant), connection)
    measured, _ = connection.measure(request_for(graph, whole, digest, connection, variant, budget_s))
    return _Sample(micro.name, works(graph, 0, len(graph.units)), statistics.median(measured.samples_s)), measured


def _columns(samples: Sequence[_Sample], cache_bytes: int) -> Array:
    """A row for each sample: kernels, bytes of weights near and far, MACs of each kind of product, activation bytes of each kind."""
    return np.array([_row(sample.works, cache_bytes) for sample in samples], dtype=float)


def _row(asked: Sequence[Work], cache_bytes: int) -> list[float]:
    parts = list(chain.from_iterable(work.parts for work in asked))
    weights = sum(work.weight_bytes for work in asked)
    far = weights > cache_bytes
    macs = [sum(part.macs for part in parts if part.kind == kind) for kind in PRODUCTS]
    moved = [sum(part.nbytes for part in parts if part.kind == kind) for kind in KINDS]
    return [len(parts), 0 if far else weights, weights if far else 0, *macs, *moved]
