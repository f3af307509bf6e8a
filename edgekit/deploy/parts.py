"""Takes a plan apart: for each replica of each stage, its model and all that its process has to know."""

from typing import NamedTuple

from edgekit.cluster import Cluster
from edgekit.graph import Graph
from edgekit.onnxio import Model, cut
from edgekit.plan import CLIENT, Plan
from edgekit.runtime.store import digest_of
from edgekit.runtime.verbs import End, Port, StageSpec, works

__all__ = ["Part", "client_ports", "part"]


class Part(NamedTuple):
    """One replica of one stage."""

    spec: StageSpec
    model: bytes


def part(plan: Plan, graph: Graph, model: Model, cluster: Cluster, name: str, owner: str = "") -> list[Part]:
    """The parts of a plan that goes by ``name`` on its devices, in the order of stages and replicas."""
    parts = []
    for index, stage in enumerate(plan.stages):
        segment = graph.segment(stage.start, stage.stop)
        stage_model = cut(model, graph, stage.start, stage.stop)
        sources, receivers = _ports(plan, graph, index)
        for replica, device in enumerate(map(cluster.device, stage.devices)):
            spec = StageSpec(
                plan=name,
                stage=index,
                replica=replica,
                replicas=len(stage.devices),
                device=device.name,
                model=digest_of(stage_model),
                inputs=segment.inputs,
                outputs=segment.outputs,
                sources=sources,
                receivers=receivers,
                variant=stage.variant,
                cores=device.cores,
                speed=device.speed,
                listen=device.listen,
                works=works(graph, stage.start, stage.stop),
                owner=owner,
            )
            parts.append(Part(spec, stage_model))
    return parts


def client_ports(plan: Plan, graph: Graph) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Where the client gets results from, and where it sends inputs to."""
    return _ports(plan, graph, CLIENT)


def _ports(plan: Plan, graph: Graph, end: End) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Ports towards those who send to ``end``, and towards those it sends to."""

    def port(other: End, names: tuple[str, ...]) -> Port:
        replicas = 1 if other == CLIENT else len(plan.stages[other].devices)
        return Port(other, replicas, tuple(graph.tensor(name) for name in names))

    messages = plan.messages()
    sources = tuple(port(source, names) for (source, receiver), names in messages.items() if receiver == end)
    receivers = tuple(port(receiver, names) for (source, receiver), names in messages.items() if source == end)
    return sources, receivers
