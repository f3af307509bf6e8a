"""Regression of a kernel's seconds on its sizes: a roofline with no negative terms, and a Gaussian process for what it leaves.

The process works on logarithms with one length for each feature (Rasmussen & Williams 2006, sections 2.2 and 5.1), so that
it interpolates between kernels nearby and falls back on the roofline where there are none.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Regression", "fit", "roofline"]

Matrix = NDArray[np.floating[Any]]

FITTED, KEPT = 320, 1400
"""Samples that lengths are learned from, and samples at most that predictions look at."""

STEPS = 50
TOGETHER = 0.1
"""The deviation, in logarithms, that samples of one group have in common."""

FINEST_S = 5e-7
"""What a kernel's time is uncertain by whatever its size: half of the microsecond that it is told in."""


@dataclass(frozen=True)
class Regression:
    """A fitted regression: seconds = roofline × exp(process).

    ``whitening``: the inverse of the triangular root of the samples' covariance.
    """

    weights: Matrix
    centre: Matrix
    lengths: Matrix
    amplitude: float
    points: Matrix
    solved: Matrix
    whitening: Matrix
    noise: float

    def predict(self, terms: Matrix, features: Matrix) -> tuple[Matrix, Matrix]:
        """Seconds, and the deviation of their logarithm."""
        base = np.log(np.maximum(terms @ self.weights, 1e-9))
        cross = self.amplitude * _matern((features - self.centre) / self.lengths, self.points)
        half = self.whitening @ cross.T
        left = np.maximum(self.amplitude - (half**2).sum(axis=0), 0.0) + self.noise
        return np.exp(base + cross @ self.solved), np.sqrt(left)


def fit(
    terms: Matrix, features: Matrix, seconds: Matrix, *, groups: NDArray[np.intp] | None = None, like: Regression | None = None
) -> Regression:
    """Fit to samples: terms of the roofline (samples × terms, none negative), features, and what was measured.

    Samples of one group were taken at one time: what slowed one of them down is likely to have slowed down all.
    With the lengths, the amplitude and the noise of another regression, where there is one ``like`` it: learning them is
    most of the work.
    """
    weights = roofline(terms, seconds)
    left = np.log(np.maximum(seconds, 1e-7)) - np.log(np.maximum(terms @ weights, 1e-9))
    random = np.random.default_rng(0)
    if like is None:
        centre, spread = features.mean(axis=0), features.std(axis=0)
        spread = np.where(spread > 1e-9, spread, 1.0)
        some = np.sort(random.permutation(len(seconds))[:FITTED])
        logs = _learned((features[some] - centre) / spread, left[some], _uncertain(seconds, groups, some))
        lengths, amplitude, noise = np.exp(logs[:-2]) * spread, float(np.exp(2 * logs[-2])), float(np.exp(2 * logs[-1]))
    else:
        centre, lengths, amplitude, noise = like.centre, like.lengths, like.amplitude, like.noise
    kept = np.sort(random.permutation(len(seconds))[:KEPT])
    points = (features[kept] - centre) / lengths
    uncertain = noise * np.eye(len(kept)) + _uncertain(seconds, groups, kept)
    whitening = np.linalg.inv(np.linalg.cholesky(amplitude * _matern(points, points) + uncertain))
    solved = whitening.T @ (whitening @ left[kept])
    return Regression(weights, centre, lengths, amplitude, points, solved, whitening, noise)


def roofline(terms: Matrix, seconds: Matrix) -> Matrix:
    """Weights, none negative, that make the least relative error; of all sets of terms the best one that needs no negative weight.

    A term that no sample has weighs nothing.
    """
    scaled = terms / seconds[:, None]
    size = scaled.max(axis=0)
    told = np.flatnonzero(size)
    size[size == 0] = 1.0
    scaled = scaled / size
    count = terms.shape[1]
    best, found = np.inf, np.zeros(count)
    for length in range(1, len(told) + 1):
        for chosen in combinations(told, length):
            part = scaled[:, chosen]
            weights = np.linalg.lstsq(part, np.ones(len(part)), rcond=None)[0]
            error = float(((part @ weights - 1) ** 2).sum())
            if (weights >= 0).all() and error < best:
                best, found = error, np.zeros(count)
                found[list(chosen)] = weights
    return np.asarray(found / size)


def _uncertain(seconds: Matrix, groups: NDArray[np.intp] | None, rows: NDArray[np.intp]) -> Matrix:
    """What these samples are off by, each for itself by how finely time is told, and those of one group together."""
    together = 0.0 if groups is None else TOGETHER**2 * (groups[rows][:, None] == groups[rows][None])
    return np.asarray(np.diag((FINEST_S / np.maximum(seconds[rows], FINEST_S)) ** 2) + together)


def _matern(one: Matrix, other: Matrix) -> Matrix:
    """Matérn's covariance of smoothness 5/2 between points in units of their lengths."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * one @ other.T
    root = np.sqrt(5 * np.maximum(squares, 0))
    return np.asarray((1 + root + root**2 / 3) * np.exp(-root))


def _learned(points: Matrix, values: Matrix, uncertain: Matrix) -> Matrix:
    """Logarithms of the lengths, the amplitude and the noise: steps by the sign of the likelihood's slope (Rprop), with a
    prior that keeps lengths around 3 deviations where the samples do not tell."""
    count = points.shape[1]
    start = np.concatenate([np.full(count, np.log(3.0)), [np.log(max(0.05, float(values.std()))), np.log(0.05)]])
    middle, width = start.copy(), np.concatenate([np.full(count, 1.0), [1.0, 0.7]])
    logs, step, slope_before = start.copy(), np.full(count + 2, 0.15), np.zeros(count + 2)
    best, best_logs = -np.inf, start
    differences = np.stack([((column[:, None] - column[None]) ** 2).ravel() for column in points.T])
    for _ in range(STEPS):
        value, slope = _likelihood(logs, differences, values, uncertain)
        value -= float((((logs - middle) / width) ** 2).sum()) / 2
        slope = slope - (logs - middle) / width**2
        if value > best:
            best, best_logs = value, logs.copy()
        same = slope * slope_before
        step = np.clip(np.where(same > 0, step * 1.2, np.where(same < 0, step * 0.5, step)), 1e-3, 0.5)
        logs = logs + np.sign(slope) * step
        slope_before = np.where(same < 0, 0.0, slope)
    return best_logs


def _likelihood(logs: Matrix, differences: Matrix, values: Matrix, uncertain: Matrix) -> tuple[float, Matrix]:
    """The logarithm of the marginal likelihood, and its slope; ``differences``: squared, (features, pairs of samples)."""
    scales, amplitude, noise = np.exp(-2 * logs[:-2]), np.exp(2 * logs[-2]), np.exp(2 * logs[-1])
    root = np.sqrt(5 * (scales @ differences).reshape(uncertain.shape))
    decay = np.exp(-root)
    shape = (1 + root + root**2 / 3) * decay
    lower = np.linalg.cholesky(amplitude * shape + noise * np.eye(len(values)) + uncertain)
    inverse = np.linalg.inv(lower)
    inverse = inverse.T @ inverse
    solved = inverse @ values
    value = -float(values @ solved) / 2 - float(np.log(np.diag(lower)).sum())
    outer = np.outer(solved, solved) - inverse
    by_length = scales / 2 * (differences @ (outer * (amplitude * 5 / 3 * (1 + root) * decay)).ravel())
    return value, np.array([*by_length, (outer * shape).sum() * amplitude, np.trace(outer) * noise])
