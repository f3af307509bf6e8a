"""A predictor of one device carried over to another, from a few networks measured there."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import UsageError
from edgekit.samples import SampledNetwork, Samples
from profilers.map.fusion import learn
from profilers.predict.features import kind, terms
from profilers.predict.predictor import KernelGuess, Predictor, error_of, guess, predict_whole, profiling_s, settled
from profilers.predict.regression import roofline

__all__ = ["adapt"]

Vector = NDArray[np.float64]

Told = tuple[SampledNetwork, list[KernelGuess], list[float]]
"""A network, its kernels as the other device's predictor has them, and their measured seconds."""

RESOURCES = np.array([0, 1, 1, 2, 2, 1])
"""What each of the roofline's TERMS takes: the overhead of a kernel, arithmetic, or memory."""

BELIEF = 4
"""So many kernels count as much as the belief that a resource, or a kind, differs between the devices as all others do."""

LEAST = 0.02
"""A resource's factor, at least, in terms of the usual one: none becomes free."""


def adapt(predictor: Predictor, samples: Samples) -> Predictor:
    """The predictor of the device that ``samples`` are of; ten networks will do.

    Overhead, arithmetic and memory get a factor each, since a device with ten times the arithmetic has not ten times the
    memory's bandwidth; then every kind of kernel gets one for what these leave, drawn towards 1 the more, the fewer kernels of
    it there are. What was measured itself goes into the table. The error that it states is that of each network as the others
    predict it.

    Raises:
        UsageError: no network was sampled kernel by kernel.
    """
    networks = [network for network in samples.networks if network.kernels]
    if not networks:
        raise UsageError(f"expected networks of {samples.device} with their kernels, got none; run: edgekit profile --learn")
    added_s = profiling_s(networks)
    bare = replace(predictor, table={})
    told = [(network, _guessed(bare, network), settled(network, added_s)) for network in networks]
    carried = _carried(bare, told)
    if len(told) > 1:
        others = [[other for other in told if other is not one] for one in told]
        ratios = [_whole(_carried(bare, rest), network) / network.p10_s for rest, (network, *_) in zip(others, told, strict=True)]
        carried = replace(carried, error=error_of(np.array(ratios)))
    table = {one.kernel: spent for network, _, seconds in told for one, spent in zip(network.kernels, seconds, strict=True)}
    fusions = {**predictor.fusions, **learn(pair for network in networks for pair in network.fusions)}
    usual = float(np.median([network.p50_s / network.p10_s for network in networks]))
    return replace(carried, samples=samples, fusions=fusions, table=table, usual=usual)


def _carried(bare: Predictor, told: Sequence[Told]) -> Predictor:
    """With the factors that these networks tell."""
    usual = float(np.exp(np.median([np.log(network.p10_s / predict_whole(bare, guesses)) for network, guesses, _ in told])))
    guesses = [one for _, guesses, _ in told for one in guesses]
    rows = np.array([_taken(bare, one) for one in guesses])
    seconds = np.maximum([value for *_, found in told for value in found], 1e-7)
    resources = _resources(rows, seconds, usual)
    by_kind: dict[str, list[float]] = defaultdict(list)
    for one, left in zip(guesses, np.log(seconds / (rows @ resources)), strict=True):
        by_kind[kind(one.kernel)].append(float(left))
    factors = {name: float(np.exp(sum(logs) / (len(logs) + BELIEF))) for name, logs in by_kind.items()}
    regressions = {
        name: replace(one, weights=one.weights * resources[RESOURCES] * factors.get(name, 1.0)) for name, one in bare.regressions.items()
    }
    carried = replace(bare, regressions=regressions)
    off = [float(np.log(network.p10_s / _whole(carried, network))) for network, *_ in told]
    return replace(carried, factor=carried.factor * float(np.exp(np.median(off) * len(off) / (len(off) + BELIEF))))


def _taken(predictor: Predictor, guessed: KernelGuess) -> Vector:
    """The seconds that a kernel is predicted, by resource; where the roofline knows none, they are overhead."""
    regression = predictor.regressions[predictor.kind_of(guessed.kernel)]
    parts = np.bincount(RESOURCES, terms(guessed.kernel, predictor.width) * regression.weights)
    return np.asarray(guessed.seconds * (parts / parts.sum() if parts.any() else np.eye(len(parts))[0]))


def _resources(taken: Vector, seconds: Vector, usual: float) -> Vector:
    """The factor of each resource: that which explains the seconds measured, drawn towards the usual one."""
    belief = np.repeat(np.eye(taken.shape[1]), BELIEF, axis=0)
    factors = roofline(np.vstack([taken, belief]), np.concatenate([seconds, np.full(len(belief), usual)]))
    return np.asarray(np.maximum(factors, LEAST * usual))


def _whole(predictor: Predictor, network: SampledNetwork) -> float:
    return predict_whole(predictor, _guessed(predictor, network))


def _guessed(predictor: Predictor, network: SampledNetwork) -> list[KernelGuess]:
    return guess(predictor, [(sampled.kernel, 0) for sampled in network.kernels])
