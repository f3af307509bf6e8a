"""Latencies of many networks on a new device from those on known devices and a few measurements: a Gaussian process.

    log latency  =  mean of the known devices  +  a mixture of them  +  what features explain  +  noise

The mixture is linear and smooth in the known devices' latencies, the rest linear and smooth in the features. How much each
of the four may say is learned from the known devices: each in turn is taken for new, and what explains it best by the others
(by its marginal likelihood) is kept. So one table of devices tells how devices differ, as HELP (arXiv:2106.08630) and
MultiPredict (arXiv:2306.02459) have it, without a network to train.

A device may be like none of them. So one size of the network (its multiplications, say) stands in for the mean of the known
devices where that makes what was measured much more likely.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["Family", "choose", "learn_family", "predict"]

Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]

LEVELS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Standard deviations, in logarithms of seconds, that each term may have."""

NOISES = (0.01, 0.03, 0.1, 0.2)
OFFSET = 4.0
"""A device may be e⁴ times faster or slower than the known ones: that is what the first measurement tells."""

BETTER = 12.0
"""By how much, in logarithms of likelihood, a size has to explain a device better than the known devices do: it has had its pick."""

SUBSET, CANDIDATES, SWEEPS = 64, 400, 3
"""Architectures that likelihoods are computed on; that measurements are chosen among and for; rounds over all terms."""


@dataclass(frozen=True)
class Family:
    """A table of known devices, prepared: what predictions on a new one start from.

    Attributes:
        mean: of the known devices' log latencies, each taken from its own mean; (architectures,).
        known: their deviations from that mean, one column each; features: as columns of deviation 1.
        sizes: features that are sizes, as logarithms, one column each.
        levels: standard deviations of the four terms; noise: of a measurement.
    """

    mean: Matrix
    known: Matrix
    features: Matrix
    sizes: Matrix
    levels: tuple[float, ...] = (0.3, 0.1, 0.1, 0.1)
    noise: float = 0.05

    @property
    def size(self) -> int:
        return len(self.mean)

    def covariance(self, rows: Indices, columns: Indices) -> Matrix:
        """Of log latencies between two sets of architectures, before anything is measured."""
        total = np.full((len(rows), len(columns)), OFFSET**2)
        for level, term in zip(self.levels, _terms(self, rows, columns), strict=True):
            if level:
                total += level**2 * term
        return total


def learn_family(latency_s: Matrix, features: Matrix) -> Family:
    """Prepare a table (devices × architectures) with the architectures' features (architectures × any number).

    With two known devices or more their terms are learned; with fewer they are what they usually come out as. Without any
    known device only the features speak.
    """
    logs = np.log(latency_s) - np.log(latency_s).mean(axis=1, keepdims=True)
    family = _prepared(logs, features)
    return _learned(family, logs, features) if len(logs) > 1 else family


def choose(family: Family, count: int, *, pool: Indices | None = None, seed: int = 0) -> Indices:
    """The ``count`` architectures to measure: each next one leaves the least variance over all others (Cohn 1996)."""
    random = np.random.default_rng(seed)
    among = np.arange(family.size) if pool is None else pool
    if count > len(among):
        raise ValueError(f"expected at most {len(among)} architectures to measure, got {count}")
    among = np.sort(random.permutation(among)[: max(CANDIDATES, count)])
    others = np.sort(random.permutation(family.size)[:CANDIDATES])
    own = family.covariance(among, among)
    cross = family.covariance(others, among)
    taken: list[int] = []
    for _ in range(count):
        spread = np.diag(own) + family.noise**2
        gain = (cross**2).sum(axis=0) / spread
        gain[taken] = -np.inf
        best = int(np.argmax(gain))
        taken.append(best)
        cross = cross - np.outer(cross[:, best], own[best] / spread[best])
        own = own - np.outer(own[:, best], own[best] / spread[best])
    return among[taken]


def predict(family: Family, measured: Indices, seconds: Matrix) -> tuple[Matrix, Matrix]:
    """Seconds of every architecture on the device that ``measured`` ones were run on, and the deviation of their logarithm."""
    logs = np.log(seconds)
    family = _likeliest(family, measured, logs)
    every = np.arange(family.size)
    cross = family.covariance(every, measured)
    inner = family.covariance(measured, measured) + family.noise**2 * np.eye(len(measured))
    solved = np.linalg.solve(inner, cross.T)
    offset = float((logs - family.mean[measured]).mean())
    means = family.mean + offset + solved.T @ (logs - family.mean[measured] - offset)
    left = sum(level**2 * diagonal for level, diagonal in zip(family.levels, _diagonals(family), strict=True)) + OFFSET**2
    return np.exp(means), np.sqrt(np.maximum(left - (cross.T * solved).sum(axis=0), 0) + family.noise**2)


def _prepared(logs: Matrix, features: Matrix) -> Family:
    features, sizes = _levelled(features)
    spread = features.std(axis=0)
    useful = spread > 1e-12 * np.maximum(1.0, np.abs(features).max(axis=0, initial=0.0))
    scaled = (features[:, useful] - features[:, useful].mean(axis=0)) / spread[useful]
    if len(logs) == 0:
        return Family(np.zeros(len(features)), np.zeros((len(features), 0)), scaled, features[:, sizes], (0.0, 0.0, 0.3, 0.3))
    return Family(logs.mean(axis=0), logs.T, scaled, features[:, sizes])


def _levelled(features: Matrix) -> tuple[Matrix, NDArray[np.bool_]]:
    """Sizes, which are always above 0 and differ in magnitude, by their logarithm; others as they are. And which are sizes."""
    sizes = (features > 0).all(axis=0) & (features.max(axis=0, initial=0.0) > 4 * features.min(axis=0, initial=np.inf))
    return np.where(sizes, np.log(np.where(sizes, features, 1.0)), features), sizes


def _terms(family: Family, rows: Indices, columns: Indices) -> list[Matrix]:
    """Linear and smooth in the known devices, linear and smooth in the features; each with a mean variance near 1."""
    found = []
    for values in (family.known, family.features):
        one, other = values[rows], values[columns]
        width = float((values**2).sum(axis=1).mean()) or 1.0
        distance = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * one @ other.T
        found += [one @ other.T / width, np.exp(-np.maximum(distance, 0) / (2 * width))]
    return found


def _diagonals(family: Family) -> list[Matrix]:
    found = []
    for values in (family.known, family.features):
        squares = (values**2).sum(axis=1)
        found += [squares / (float(squares.mean()) or 1.0), np.ones(len(values))]
    return found


def _learned(family: Family, logs: Matrix, features: Matrix) -> Family:
    """Coordinate ascent on the likelihood of each known device given the others."""
    rows = np.sort(np.random.default_rng(0).permutation(logs.shape[1])[:SUBSET])
    cases = []
    for device in range(len(logs)):
        others = _prepared(np.delete(logs, device, axis=0), features)
        cases.append((_terms(others, rows, rows), logs[device, rows] - others.mean[rows]))
    levels, noise = list(family.levels), family.noise
    for _ in range(SWEEPS):
        before = (*levels, noise)
        for term in range(4):
            scores = [_likelihood(cases, (*levels[:term], level, *levels[term + 1 :]), noise) for level in LEVELS]
            levels[term] = LEVELS[int(np.argmax(scores))]
        noise = NOISES[int(np.argmax([_likelihood(cases, tuple(levels), each) for each in NOISES]))]
        if (*levels, noise) == before:
            break
    return replace(family, levels=tuple(levels), noise=noise)


def _likeliest(family: Family, measured: Indices, logs: Matrix) -> Family:
    """The family as it is, unless a size in place of its mean explains what was measured much better."""
    usual = family if family.known.shape[1] > 1 else _tuned(family, measured, logs)
    others = [_tuned(replace(family, mean=size), measured, logs) for size in family.sizes.T]
    best = max(others, key=lambda other: _explained(other, measured, logs), default=usual)
    return best if _explained(best, measured, logs) > _explained(usual, measured, logs) + BETTER else usual


def _explained(family: Family, measured: Indices, logs: Matrix) -> float:
    """How likely the family makes what was measured, as a logarithm."""
    return _likelihood([_case(family, measured, logs)], family.levels, family.noise)


def _case(family: Family, measured: Indices, logs: Matrix) -> tuple[list[Matrix], Matrix]:
    left = logs - family.mean[measured]
    return _terms(family, measured, measured), left - left.mean()


def _tuned(family: Family, measured: Indices, logs: Matrix) -> Family:
    """Of a family too small to learn from: the levels that explain best what was measured itself."""
    cases = [_case(family, measured, logs)]
    options = [(linear, smooth / 2, other, smooth) for linear, smooth, other in product((0.0, 0.1, 0.3, 1.0), (0.0, 0.1), (0.03, 0.3, 1.0))]
    levels, noise = max(product(options, NOISES), key=lambda option: _likelihood(cases, *option))
    return replace(family, levels=levels, noise=noise)


def _likelihood(cases: list[tuple[list[Matrix], Matrix]], levels: tuple[float, ...], noise: float) -> float:
    """The logarithm of the density of every known device's log latencies, summed."""
    total = 0.0
    for terms, values in cases:
        size = len(values)
        matrix = OFFSET**2 + noise**2 * np.eye(size) + sum(level**2 * term for level, term in zip(levels, terms, strict=True))
        lower = np.linalg.cholesky(matrix)
        solved = np.linalg.solve(lower, values)
        total -= float(solved @ solved) / 2 + float(np.log(np.diag(lower)).sum())
    return total
