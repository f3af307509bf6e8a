"""A predictor of one device carried over to another, from a few networks measured there."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit.errors import UsageError
from edgekit.samples import SampledNetwork, Samples
from profilers.features import kind
from profilers.fusing import learn
from profilers.predictor import Predictor, error_of, guess, predict_whole, profiling_s, settled

__all__ = ["adapt"]

BELIEF = 4.0
"""So many kernels of a kind count as much as the belief that the kind differs between the devices as all others do."""


def adapt(predictor: Predictor, samples: Samples) -> Predictor:
    """The predictor of the device that ``samples`` are of; ten networks will do.

    Every kind of kernel gets a factor of its own: what is measured over what is predicted, drawn towards the factor of all
    kinds the more, the fewer kernels of it there are. What was measured itself goes into the table. The error that it states
    is that of each network as the others predict it.

    Raises:
        UsageError: no network was sampled kernel by kernel.
    """
    networks = [network for network in samples.networks if network.kernels]
    if not networks:
        raise UsageError(f"expected networks of {samples.device} with their kernels, got none; run: edgekit profile --learn")
    added_s = profiling_s(networks)
    carried = _carried(predictor, networks, added_s)
    if len(networks) > 1:
        others = [[other for other in networks if other is not network] for network in networks]
        ratios = [_whole(_carried(predictor, rest, added_s), one) / one.p10_s for rest, one in zip(others, networks, strict=True)]
        carried = replace(carried, error=error_of(np.array(ratios)))
    table = {one.kernel: spent for net in networks for one, spent in zip(net.kernels, settled(net, added_s), strict=True)}
    fusions = {**predictor.fusions, **learn(pair for network in networks for pair in network.fusions)}
    usual = float(np.median([network.p50_s / network.p10_s for network in networks]))
    return replace(carried, samples=samples, fusions=fusions, table=table, usual=usual)


def _carried(predictor: Predictor, networks: Sequence[SampledNetwork], added_s: float) -> Predictor:
    """With the factors that these networks tell, and nothing in the table."""
    bare = replace(predictor, table={})
    by_kind: dict[str, list[float]] = defaultdict(list)
    for network in networks:
        guesses = guess(bare, [(sampled.kernel, 0) for sampled in network.kernels])
        for one, seconds in zip(guesses, settled(network, added_s), strict=True):
            by_kind[kind(one.kernel)].append(float(np.log(max(seconds, 1e-7) / one.seconds)))
    every = float(np.median([np.log(network.p10_s / _whole(bare, network)) for network in networks]))
    usual = float(np.exp(every))
    factors = {name: float(np.exp((sum(logs) + BELIEF * every) / (len(logs) + BELIEF))) for name, logs in by_kind.items()}
    regressions = {name: replace(one, weights=one.weights * factors.get(name, usual)) for name, one in predictor.regressions.items()}
    carried = replace(bare, regressions=regressions)
    off = [float(np.log(network.p10_s / _whole(carried, network))) for network in networks]
    return replace(carried, factor=carried.factor * float(np.exp(np.median(off) * len(off) / (len(off) + BELIEF))))


def _whole(predictor: Predictor, network: SampledNetwork) -> float:
    return predict_whole(predictor, guess(predictor, [(sampled.kernel, 0) for sampled in network.kernels]))
