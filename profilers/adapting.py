"""A predictor of one device carried over to another, from a few networks measured there."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit.samples import SampledNetwork, Samples
from profilers.features import kind
from profilers.fusing import learn
from profilers.predictor import Predictor, guess, predict_whole, settled

__all__ = ["adapt"]

BELIEF = 4.0
"""So many kernels of a kind count as much as the belief that the kind differs between the devices as all others do."""


def adapt(predictor: Predictor, samples: Samples) -> Predictor:
    """The predictor of the device that ``samples`` are of; ten networks will do.

    Every kind of kernel gets a factor of its own: what is measured over what is predicted, drawn towards the factor of all
    kinds the more, the fewer kernels of it there are. What was measured itself goes into the table.
    """
    by_kind: dict[str, list[float]] = defaultdict(list)
    wholes = []
    for network in samples.networks:
        if network.kernels:
            guesses = guess(predictor, [(sampled.kernel, 0) for sampled in network.kernels])
            for one, seconds in zip(guesses, settled(network), strict=True):
                by_kind[kind(one.kernel)].append(float(np.log(max(seconds, 1e-7) / one.seconds)))
            wholes.append(float(np.log(network.p10_s / predict_whole(predictor, guesses))))
    if not wholes:
        return predictor
    every = float(np.median(wholes))
    factors = {name: float(np.exp((sum(logs) + BELIEF * every) / (len(logs) + BELIEF))) for name, logs in by_kind.items()}
    regressions = {
        name: replace(regression, weights=regression.weights * factors.get(name, float(np.exp(every))))
        for name, regression in predictor.regressions.items()
    }
    table = {
        one.kernel: spent for net in samples.networks for one, spent in zip(net.kernels, settled(net) if net.kernels else (), strict=True)
    }
    fusions = {**predictor.fusions, **learn(pair for network in samples.networks for pair in network.fusions)}
    carried = replace(predictor, samples=samples, fusions=fusions, regressions=regressions, table=table)
    return replace(carried, factor=carried.factor * _left(carried, samples.networks))


def _left(predictor: Predictor, networks: Sequence[SampledNetwork]) -> float:
    """The factor that whole networks are still off by, half of it believed."""
    off = [
        np.log(network.p10_s / predict_whole(predictor, guess(predictor, [(one.kernel, 0) for one in network.kernels])))
        for network in networks
        if network.kernels
    ]
    return float(np.exp(np.median(off) * len(off) / (len(off) + BELIEF)))
