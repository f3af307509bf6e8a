"""Samples of a device, a predictor fitted to them, and profiles of networks that were never run there."""

from functools import cache

import msgspec
import numpy as np
import pytest

from devices import connect
from edgekit.device import Device, Roofline
from edgekit.errors import DeviceError, UsageError
from edgekit.files import decode, encode
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.progress import silent
from edgekit.samples import SampledNetwork, Samples
from partitioner.solve.exact import solve
from profilers.measure.profiler import profile_graph
from profilers.predict.adaptation import adapt
from profilers.predict.features import TERMS
from profilers.predict.kernel_sum import describe
from profilers.predict.predicted_profile import predict_profile
from profilers.predict.predictor import fit_predictor, predict_kernels, predict_whole, profiling_s, settled
from profilers.predict.random_stacks import draw_stack
from profilers.predict.sampler import sample_device, sample_network
from tests.models import net as read_net
from tests.models import serial, simulated

SLOW = Device("slow", "sim:", roofline=Roofline(2e9, 1e9, 2e-5))
FAST = Device("fast", "sim:", roofline=Roofline(3e10, 4e9, 5e-6))
STACKS = 72


def taken(device: Device, stacks: int, before: Samples | None = None, seeds=None) -> Samples:
    kept = []
    with connect(device) as connection:
        sample_device(connection, 1e9, silent, kept.append, before=before, seeds=range(stacks) if seeds is None else seeds)
    return kept[-1]


@cache
def slow() -> Samples:
    return taken(SLOW, STACKS)


@cache
def predictor():
    return fit_predictor(slow())


def measured(device: Device, net) -> Profile:
    with connect(device) as connection:
        return profile_graph(net.graph, net.model, connection, budget_s=0.1)


def test_samples_come_back_from_their_file_as_they_were() -> None:
    assert decode(encode(slow()), Samples) == slow()
    assert len(slow().networks) == STACKS
    assert slow().emulated


def test_sampling_goes_on_where_it_stopped() -> None:
    half = msgspec.structs.replace(slow(), networks=slow().networks[:-2])
    again = taken(SLOW, STACKS, half)
    assert again.networks[:2] == half.networks[:2]
    assert [network.source for network in again.networks] == [network.source for network in slow().networks]


def test_a_stack_is_told_by_the_median_of_the_times_that_it_was_run() -> None:
    first = slow().networks[0]
    assert len(first.p10s_s) == 3 and len(slow().networks[-1].p10s_s) == 1
    assert first.p10_s == sorted(first.p10s_s)[1]


def test_samples_of_other_conditions_are_not_mixed() -> None:
    older = msgspec.structs.replace(slow(), conditions=msgspec.structs.replace(slow().conditions, engines=("onnxruntime 1.0",)))
    with pytest.raises(DeviceError, match="engines was onnxruntime 1.0"):
        taken(SLOW, 1, older, seeds=[99])


def test_the_budget_is_what_ends_it() -> None:
    with connect(SLOW) as connection:
        samples = sample_device(connection, 0.0, silent, lambda samples: None)
    assert samples.networks == ()


@pytest.mark.parametrize("seed", range(1000, 1012))
def test_a_network_that_was_never_run_is_predicted(seed) -> None:
    net = read_net(draw_stack(seed))
    guessed, true = predict_profile(net.graph, net.model, predictor()), measured(SLOW, net)
    assert guessed.whole.p50_s == pytest.approx(true.whole.p50_s, rel=0.1)
    assert guessed.badge == "estimated"
    assert guessed.compute_s(0, 2)[1] == guessed.compute_s(0, len(net.graph.units))[1] == "estimated"
    assert decode(encode(guessed), Profile) == guessed


def test_the_partitioner_takes_a_predicted_profile_and_says_that_it_is_one() -> None:
    net, cluster = serial(6), simulated("slow", "fast")
    guessed = predict_profile(net.graph, net.model, predictor())
    profiles = Profiles(tuple(msgspec.structs.replace(guessed, device=name) for name in ("slow", "fast")))
    front = solve(net.graph, cluster, profiles)
    assert {plan.predicted.badge for plan in front.plans if plan.predicted} <= {"estimated", "spec"}


def test_the_same_samples_give_the_same_prediction_and_a_stated_error() -> None:
    net = serial(6)
    again = fit_predictor(decode(encode(slow()), Samples))
    assert predict_profile(net.graph, net.model, again) == predict_profile(net.graph, net.model, predictor())
    assert again.error.networks == STACKS
    assert 0 < again.error.p50 < 0.2


def test_without_samples_there_is_no_predictor() -> None:
    with pytest.raises(UsageError, match="--learn"):
        fit_predictor(msgspec.structs.replace(slow(), networks=()))


def test_kernels_add_up_to_the_network_without_the_profiler() -> None:
    network = msgspec.structs.replace(slow().networks[0], p10_s=0.8 * slow().networks[0].p10_s)
    assert sum(settled(network, 1e-5)) == pytest.approx(network.p10_s)
    assert min(settled(network, 1e-5)) > 0


def in_two_events(network: SampledNetwork) -> SampledNetwork:
    return msgspec.structs.replace(network, kernels=tuple(msgspec.structs.replace(kernel, events=2) for kernel in network.kernels))


def test_what_the_profiler_adds_is_learned_from_networks_of_small_kernels() -> None:
    small = [network for network in slow().networks if network.kernels]
    longer = [
        msgspec.structs.replace(
            network,
            p10_s=1e-5 * len(network.kernels),
            kernels=tuple(msgspec.structs.replace(kernel, seconds=1.4e-5) for kernel in network.kernels),
        )
        for network in small
    ]
    assert profiling_s(longer) == pytest.approx(4e-6)
    assert profiling_s([in_two_events(network) for network in longer]) == pytest.approx(2e-6)
    assert profiling_s(longer[:2]) == 0.0


def test_how_kernels_add_up_is_learned_where_enough_networks_tell() -> None:
    assert predictor().adding is not None
    few = fit_predictor(msgspec.structs.replace(slow(), networks=slow().networks[:8]))
    guesses = predict_kernels(few, serial(6).graph, serial(6).model)
    assert few.adding is None
    assert predict_whole(few, guesses) == pytest.approx(sum(one.seconds for one in guesses))


def test_a_network_is_described_by_the_sum_of_its_kernels_and_what_they_are() -> None:
    kernels = [sampled.kernel for sampled in slow().networks[0].kernels]
    terms, sizes = describe(kernels, [1e-3] * len(kernels))
    assert terms == pytest.approx([1e-3 * len(kernels), len(kernels)])
    assert sizes[:2] == pytest.approx(np.log2([1e-3, 1e-3 * len(kernels)]))
    assert 0 <= sizes[4:].sum() <= 1


def test_a_few_networks_carry_a_predictor_over_to_another_device() -> None:
    carried = adapt(predictor(), taken(FAST, 10))
    off, before = [], []
    for seed in range(1000, 1012):
        net = read_net(draw_stack(seed))
        true = measured(FAST, net).whole.p50_s
        off.append(abs(predict_profile(net.graph, net.model, carried).whole.p50_s / true - 1))
        before.append(predict_profile(net.graph, net.model, predictor()).whole.p50_s / true - 1)
    assert carried.samples.device == "fast"
    assert carried.error.networks == 10
    assert np.median(off) < 0.15 and max(off) < 0.5
    assert min(before) > 1.5


def test_arithmetic_and_memory_that_differ_unlike_are_told_apart() -> None:
    device = msgspec.structs.replace(SLOW, name="fast", roofline=Roofline(3e10, 1e9, 2e-5))
    carried = adapt(predictor(), taken(device, 10))
    before, after = (one.regressions["Product of weights"].weights for one in (predictor(), carried))
    macs, weights = TERMS.index("MACs in whole blocks"), TERMS.index("elements of weights")
    assert after[weights] / before[weights] > 5 * after[macs] / before[macs]  # in truth 15


def test_kernels_of_a_played_device_are_as_slow_as_its_networks() -> None:
    net, device = read_net(draw_stack(1000)), Device("weak", speed=0.02)
    with connect(device) as connection:
        network, _ = sample_network("one", net.graph, net.model, connection, device.variant)
    assert sum(sampled.seconds for sampled in network.kernels) > 0.2 * network.p10_s  # 0.02 where only the network is slowed
    assert network.profiled_s > 0.2 * network.p10_s


def test_a_network_can_be_sampled_as_a_whole_only() -> None:
    with connect(SLOW) as connection:
        network, _ = sample_network("one", serial(4).graph, serial(4).model, connection, SLOW.variant, kernels=False)
    assert network.kernels == ()
    assert network.p10_s > 0
