"""A predictor for one device, fitted to samples of its kernels each time it is needed: a table, and a regression for each kind.

    graph ──fusing──▶ kernels ──table, or the regression of their kind──▶ seconds ──adding──▶ whole

What was sampled is in the table and is taken as it was measured. Nothing fitted is ever stored, so that no version of any
library can spoil it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import UsageError
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.samples import Fused, SampledNetwork, Samples
from profilers.map.blocked_layout import WIDTHS
from profilers.map.fusion import Fusions, learn
from profilers.map.kernel_descriptions import expected
from profilers.predict.features import common, features, kind, terms
from profilers.predict.kernel_sum import describe
from profilers.predict.regression import Regression, fit, roofline

__all__ = [
    "Error",
    "KernelGuess",
    "Predictor",
    "error_of",
    "fit_predictor",
    "guess",
    "predict_kernels",
    "predict_whole",
    "profiling_s",
    "settled",
]

Vector = NDArray[np.float64]

FEWEST = 8
"""Samples of a kind that a regression of its own takes; with fewer it shares the one of all such kinds."""

SMALL_S = 3e-5
"""A mean kernel below which a network tells what the profiler adds."""

SHARE_LEFT = 0.2
"""What is left of a kernel whose time is all the profiler's, at least."""

CONTRADICTION = 1.6
FOLDS = 5
OTHER = "other"
T = TypeVar("T")

Row = tuple[Fused, Vector, float, int]
"""A kernel, what it has in common with its network, its seconds, and which network that is."""


@dataclass(frozen=True)
class KernelGuess:
    """A kernel that a graph would run, with its unit, its seconds, and whether that very kernel was sampled."""

    kernel: Fused
    unit: int
    seconds: float
    deviation: float
    sampled: bool = False


@dataclass(frozen=True)
class Error:
    """How far predictions of whole networks were off that the predictor had not seen: relative, half of them and nine tenths
    at most; and the shares within 5 and within 10 %."""

    p50: float
    p90: float
    within_5: float
    within_10: float
    networks: int


@dataclass(frozen=True)
class Predictor:
    """Regressions by kind, the table of kernels that were sampled, and how a network's kernels add up to it.

    Attributes:
        adding: what a whole is beside the sum of its kernels; None where too few networks tell.
        factor: of all wholes, where the predictor was carried over from another device.
        usual: how much longer than its lowest tenth a network's median run is.
        width: channels in a block of the device's layout: that which explains its convolutions best.
        error: cross-validated.
    """

    samples: Samples
    fusions: Fusions
    regressions: dict[str, Regression]
    table: dict[Fused, float]
    adding: Regression | None = None
    factor: float = 1.0
    usual: float = 1.0
    width: int = WIDTHS[0]
    error: Error = Error(0.0, 0.0, 0.0, 0.0, 0)

    def kind_of(self, kernel: Fused) -> str:
        """Whose regression tells a kernel: its own kind's, or that of all rare ones."""
        name = kind(kernel)
        return name if name in self.regressions else OTHER


def profiling_s(networks: Iterable[SampledNetwork]) -> float:
    """What the profiler adds to each event: by what networks of small kernels are slower with it."""
    excess = []
    for network in networks:
        if network.kernels and network.p10_s < SMALL_S * len(network.kernels):
            total = sum(kernel.seconds for kernel in network.kernels)
            excess.append((total - network.p10_s) / sum(kernel.events for kernel in network.kernels))
    return max(0.0, float(np.median(excess))) if len(excess) >= FEWEST else 0.0


def settled(network: SampledNetwork, added_s: float) -> list[float]:
    """Seconds of its kernels without what the profiler added, such that they add up to the network run without it.

    The same is taken from each event, as the profiler adds the same to each; what then remains is shared in proportion.
    """
    left = _without(network, added_s)
    return [float(value) for value in left * network.p10_s / max(left.sum(), 1e-12)]


def _without(network: SampledNetwork, added_s: float) -> Vector:
    spent = np.array([kernel.seconds for kernel in network.kernels])
    events = np.array([kernel.events for kernel in network.kernels])
    return np.maximum(spent - added_s * events, SHARE_LEFT * spent)


def _consistent(network: SampledNetwork, added_s: float) -> bool:
    """Whether its kernels and its whole could be of the same machine: one of them may have been measured while that was busy."""
    ratio = float(_without(network, added_s).sum()) / network.p10_s
    return 1 / CONTRADICTION <= ratio <= CONTRADICTION


def fit_predictor(samples: Samples) -> Predictor:
    """Fit to samples; the same samples give the same predictor.

    Networks that contradict themselves are not looked at. The others are left out by fifths and predicted from the rest, which
    tells how kernels add up, and how good it is.

    Raises:
        UsageError: they hold too few kernels.
    """
    added_s = profiling_s(samples.networks)
    networks = [network for network in samples.networks if network.kernels and _consistent(network, added_s)]
    if sum(len(network.kernels) for network in networks) < FEWEST:
        raise UsageError(f"expected at least {FEWEST} sampled kernels, got {samples.kernel_count}; run: edgekit profile --learn")
    predictor = _fitted(samples, networks, added_s)
    usual = float(np.median([network.p50_s / network.p10_s for network in networks]))
    if len(networks) < 2 * FOLDS:
        return replace(predictor, usual=usual)
    parts = [_fitted(samples, _others(networks, fold), added_s, predictor) for fold in range(FOLDS)]
    rows = [
        _described(guess(parts[place % FOLDS], [(sampled.kernel, 0) for sampled in network.kernels]))
        for place, network in enumerate(networks)
    ]
    adding = _adding(rows, networks)
    ratios = np.empty(len(networks))
    for fold in range(FOLDS):
        part = _adding(_others(rows, fold), _others(networks, fold), adding)
        for place in range(fold, len(networks), FOLDS):
            ratios[place] = _seconds(part, rows[place]) / networks[place].p10_s
    return replace(predictor, adding=adding, usual=usual, error=error_of(ratios))


def _others(found: Sequence[T], fold: int) -> list[T]:
    """What is not in a fold."""
    return [one for place, one in enumerate(found) if place % FOLDS != fold]


def _described(guesses: Sequence[KernelGuess]) -> tuple[Vector, Vector]:
    return describe([one.kernel for one in guesses], [one.seconds for one in guesses])


def _adding(rows: Sequence[tuple[Vector, Vector]], networks: Sequence[SampledNetwork], like: Regression | None = None) -> Regression:
    terms_of, features_of = (np.array(column) for column in zip(*rows, strict=True))
    return fit(terms_of, features_of, np.array([network.p10_s for network in networks]), like=like)


def _seconds(adding: Regression, row: tuple[Vector, Vector]) -> float:
    return float(adding.predict(row[0][None], row[1][None])[0][0])


def error_of(ratios: Vector) -> Error:
    """Of predicted over measured."""
    off = np.abs(ratios - 1)
    p50, p90 = (float(value) for value in np.percentile(off, (50, 90)))
    return Error(p50, p90, float(np.mean(off <= 0.05)), float(np.mean(off <= 0.1)), len(off))


def _fitted(samples: Samples, networks: Sequence[SampledNetwork], added_s: float, like: Predictor | None = None) -> Predictor:
    by_kind: dict[str, list[Row]] = defaultdict(list)
    table: dict[Fused, list[float]] = defaultdict(list)
    for number, network in enumerate(networks):
        shared = common([sampled.kernel for sampled in network.kernels])
        for sampled, seconds in zip(network.kernels, settled(network, added_s), strict=True):
            by_kind[kind(sampled.kernel)].append((sampled.kernel, shared, seconds, number))
            table[sampled.kernel].append(seconds)
    width = like.width if like else _width(by_kind)
    regressions: dict[str, Regression] = {}
    known = like.regressions if like else {}
    for name, found in by_kind.items():
        if len(found) >= FEWEST and (like is None or name in known):
            regressions[name] = _regression(found, width, known.get(name))
    rare = [row for name, found in by_kind.items() if name not in regressions for row in found]
    every = rare if len(rare) >= FEWEST else [row for found in by_kind.values() for row in found]
    regressions[OTHER] = _regression(every, width, known.get(OTHER), bare=True)
    fusions = learn(pair for network in networks for pair in network.fusions)
    return Predictor(samples, fusions, regressions, {kernel: float(np.median(found)) for kernel, found in table.items()}, width=width)


def _width(by_kind: Mapping[str, Sequence[Row]]) -> int:
    """Of a block: the one whose rooflines of convolutions leave the least."""
    convolutions = [found for name, found in by_kind.items() if name.startswith("Conv") and len(found) >= FEWEST]
    return min(WIDTHS, key=lambda width: sum(_left(found, width) for found in convolutions))


def _left(found: Sequence[Row], width: int) -> float:
    """The sum of what the roofline is off by, in logarithms."""
    rows, seconds = _terms(found, width), np.array([row[2] for row in found])
    return float(np.abs(np.log(np.maximum(rows @ roofline(rows, seconds), 1e-9) / np.maximum(seconds, 1e-7))).sum())


def _regression(found: Sequence[Row], width: int, like: Regression | None, bare: bool = False) -> Regression:
    seconds, groups = np.array([row[2] for row in found]), np.array([row[3] for row in found])
    return fit(_terms(found, width), _columns(found, width, bare), seconds, groups=groups, like=like)


def _terms(found: Sequence[Row], width: int) -> Vector:
    return np.array([terms(row[0], width) for row in found])


def _columns(found: Sequence[Row], width: int, bare: bool) -> Vector:
    if bare:
        return np.asarray(np.log2(1 + _terms(found, width)[:, 1:]))
    return np.array([features(row[0], row[1], width) for row in found])


def predict_kernels(predictor: Predictor, graph: Graph, model: Model) -> list[KernelGuess]:
    """The kernels that the device would run for a graph, in order."""
    return guess(predictor, expected(graph, model, predictor.fusions))


def guess(predictor: Predictor, kernels: Sequence[tuple[Fused, int]]) -> list[KernelGuess]:
    """Seconds of the kernels of one network, each with its unit."""
    shared = common([kernel for kernel, _ in kernels])
    by_kind: dict[str, list[int]] = defaultdict(list)
    for place, (kernel, _) in enumerate(kernels):
        by_kind[predictor.kind_of(kernel)].append(place)
    found: dict[int, KernelGuess] = {}
    for name, places in by_kind.items():
        rows = [(kernels[place][0], shared, 0.0, 0) for place in places]
        columns = _columns(rows, predictor.width, name == OTHER)
        seconds, deviations = predictor.regressions[name].predict(_terms(rows, predictor.width), columns)
        for place, value, deviation in zip(places, seconds, deviations, strict=True):
            kernel, unit = kernels[place]
            known = predictor.table.get(kernel)
            found[place] = KernelGuess(kernel, unit, known or float(value), float(deviation), known is not None)
    return [found[place] for place in range(len(kernels))]


def predict_whole(predictor: Predictor, guesses: Sequence[KernelGuess]) -> float:
    """Seconds, the lowest tenth, of the network that runs these kernels."""
    if predictor.adding is None:
        return predictor.factor * sum(one.seconds for one in guesses)
    return predictor.factor * _seconds(predictor.adding, _described(guesses))
