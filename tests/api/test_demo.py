"""The demo's cluster and choices give a front worth looking at, as the devices and links are described."""

from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace

pytest.importorskip("torch", reason="needs tool torch")

from edgekit import api, onnxio
from edgekit.api.demo import CLUSTER, CODECS, CUTS, question
from edgekit.cluster import Cluster
from edgekit.device import Device, Roofline
from edgekit.export import export
from edgekit.front import Front, cost_of
from edgekit.graph import Graph
from edgekit.losses import Losses, StageLoss, TensorLoss
from edgekit.networks.mobilenetv2 import mobilenetv2
from edgekit.onnxio import Model
from edgekit.quantize import int8_scheme, to_int8

MACS_PER_S = 2e10
"""What one core of a desktop does; the devices play shares of it."""


@pytest.fixture(scope="module")
def network() -> tuple[Graph, Model]:
    """The demo's network, with another last layer, beside its int8 twin."""
    plain = onnxio.load(export(mobilenetv2(10), [(None, (1, 3, 96, 96))]))
    frame = np.random.default_rng(0).random((1, 3, 96, 96), np.float32)
    twin = onnxio.load(to_int8(plain, [{"x": frame}], int8_scheme(())))
    return onnxio.paired(onnxio.read(plain), plain, [twin])


def described(device: Device) -> Device:
    """The device, computed instead of played."""
    rate = device.speed * MACS_PER_S
    roofline = Roofline(rate, 1e12, int8_macs_per_s=1.3 * rate)
    return replace(device, address="sim:", speed=1.0, roofline=roofline)


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    devices = tuple(map(described, CLUSTER.devices))
    return replace(CLUSTER, devices=devices).relinked(lambda link: replace(link, shaped=False))


@pytest.fixture(scope="module")
def front(network: tuple[Graph, Model], cluster: Cluster) -> Front:
    graph, model = network
    cuts = (0, *CUTS, len(graph.units))
    stages = tuple(StageLoss(start, stop, "int8", 0.01) for start, stop in pairwise(cuts))
    sent = {tensor.name for position in CUTS for tensor in graph.cuts[position].tensors}
    tensors = tuple(TensorLoss(name, codec, 0.001) for name in sorted(sent) for codec in CODECS)
    losses = Losses(graph.digest, "error", 100, tensors, stages)
    profiles = api.profile(graph, model, cluster, budget_s=0.1, codecs=CODECS)
    return api.partition(graph, model, cluster, profiles, question=question(graph, losses))[0]


def test_the_network_is_cut_where_half_as_much_has_to_cross(network: tuple[Graph, Model]) -> None:
    graph, _ = network
    sizes = [graph.cuts[position].nbytes for position in (0, *CUTS)]
    assert all(after <= before / 2 for before, after in pairwise(sizes))


def test_the_front_of_the_demo_is_a_trade_off(front: Front) -> None:
    costs = [cost_of(plan) for plan in front.plans]
    assert front.objectives == ("latency", "period", "loss")
    apart: list[tuple[float, float]] = []
    for cost in costs:
        if all(abs(cost.latency_s / x - 1) > 0.05 or abs(cost.period_s / y - 1) > 0.05 for x, y in apart):
            apart.append((cost.latency_s, cost.period_s))
    assert len(apart) >= 6
    assert {2, 3} <= {len(plan.devices) for plan in front.plans}
    assert max(cost.latency_s for cost in costs) > 1.3 * min(cost.latency_s for cost in costs)
    assert max(cost.period_s for cost in costs) > 1.3 * min(cost.period_s for cost in costs)


def test_the_front_of_the_demo_uses_codecs_and_both_precisions(front: Front) -> None:
    assert any(cost_of(plan).accuracy_loss == 0 for plan in front.plans)
    assert {stage.variant.precision for plan in front.plans for stage in plan.stages} == {"fp32", "int8"}
    assert any(plan.coded for plan in front.plans)
