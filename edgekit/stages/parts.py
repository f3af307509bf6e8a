"""Splits a plan into parts: each replica of each stage gets its artifact and the specification of its process."""

from typing import NamedTuple

from edgekit.cluster import Cluster
from edgekit.codec import Written
from edgekit.device import Device
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import CLIENT, Plan, Transfer, wired
from edgekit.runtime.links.tls import named
from edgekit.runtime.verbs import Emulation, End, Port, StageSpec, Work, coding_works, works
from edgekit.stages.artifact import Artifact, Codecs, build

__all__ = ["Part", "client_ports", "part"]


class Part(NamedTuple):
    """One replica of one stage."""

    spec: StageSpec
    artifact: Artifact


def part(plan: Plan, graph: Graph, model: Model, cluster: Cluster, name: str, *, owner: str = "") -> list[Part]:
    """The parts of a plan that goes by ``name`` on its devices, in the order of stages and replicas."""
    parts = []
    for index, stage in enumerate(plan.stages):
        inputs, outputs = _ends(plan, graph, index)
        artifact = build(model, graph, stage.start, stage.stop, stage.variant, codecs=Codecs(inputs, outputs, plan.ranges))
        sources, receivers = _ports(plan, graph, cluster, index)
        unit_works = works(graph, stage.start, stage.stop)
        for replica, device in enumerate(map(cluster.device, stage.devices)):
            spec = StageSpec(
                plan=name,
                stage=index,
                replica=replica,
                replicas=len(stage.devices),
                device=device.name,
                model=artifact.digest,
                inputs=artifact.inputs,
                outputs=artifact.outputs,
                sources=sources,
                receivers=receivers,
                variant=stage.variant,
                cores=device.cores,
                emulation=_emulation(device, (*unit_works, *coding_works((*inputs, *outputs)))),
                listen=device.listen,
                owner=owner,
            )
            parts.append(Part(spec, artifact))
    return parts


def _emulation(device: Device, tasks: tuple[Work, ...]) -> Emulation | None:
    """What makes the times of a device others than those of its machine; None: nothing does."""
    return Emulation(tasks, device.speed) if device.emulated else None


def _ends(plan: Plan, graph: Graph, index: int) -> tuple[list[Written], list[Written]]:
    """What the model of a stage reads and makes, each with its codec; what goes on as it came is none of its business."""
    stage = plan.stages[index]
    segment = graph.segment(stage.start, stage.stop)
    came = {each.tensor: each.codec for each in plan.transfers if each.receiver == index}
    leaves = dict.fromkeys((each.tensor, each.codec) for each in plan.transfers if each.source == index)
    writes = [(tensor, codec) for tensor, codec in leaves if came.get(tensor) != codec]
    reads = {tensor.name for tensor in segment.inputs} | {tensor for tensor, _ in writes if tensor in came}
    coded_only = {tensor for tensor, codec in writes if codec != "raw"} - {tensor for tensor, codec in writes if codec == "raw"}
    kept = [tensor for tensor in segment.outputs if tensor.name not in coded_only]  # what nobody is sent is made as before
    outputs: list[Written] = [(tensor, "raw") for tensor in kept]
    outputs += [(graph.tensor(tensor), codec) for tensor, codec in writes if (graph.tensor(tensor), codec) not in outputs]
    return [(graph.tensor(name), codec) for name, codec in came.items() if name in reads], outputs


def client_ports(plan: Plan, graph: Graph, cluster: Cluster) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Where the client gets results from, and where it sends inputs to."""
    return _ports(plan, graph, cluster, CLIENT)


def _ports(plan: Plan, graph: Graph, cluster: Cluster, end: End) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Ports towards those who send to ``end``, and towards those it sends to."""

    def port(other: End, sent: tuple[Transfer, ...]) -> Port:
        devices = (cluster.client,) if other == CLIENT else plan.stages[other].devices
        return Port(
            end=other, replicas=len(devices), tensors=wired(graph, sent), names=tuple(named(cluster.name, device) for device in devices)
        )

    messages = plan.messages()
    sources = tuple(port(source, sent) for (source, receiver), sent in messages.items() if receiver == end)
    receivers = tuple(port(receiver, sent) for (source, receiver), sent in messages.items() if source == end)
    return sources, receivers
