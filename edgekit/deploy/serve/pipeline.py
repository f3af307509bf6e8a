"""Brings a plan to its devices: stages are cut, sent, loaded, checked against the unsplit run, and linked."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices import Connection, scheme_of
from devices.authority import Authority
from devices.door import door
from devices.relay import Relay, open_relays
from devices.shaper import Route, open_routes
from edgekit.cluster import Cluster, Shape
from edgekit.deploy.client.client import Client, Follow, Streaming
from edgekit.deploy.client.client_links import Target
from edgekit.deploy.client.virtual_client import VirtualClient
from edgekit.deploy.serve.connections import connect_all
from edgekit.deploy.serve.preflight import check, check_home, meeting
from edgekit.deploy.serve.release import Release, precisions, prepare
from edgekit.deploy.serve.transport_check import require_transport
from edgekit.errors import DeviceError, UsageError
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import CLIENT, Plan, validate
from edgekit.progress import Tell, silent
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.links.tls import named
from edgekit.runtime.verbs import End, Endpoint, Loaded, LogsReply, Run, StageSpec, Transport
from edgekit.stages.artifact import upload
from edgekit.stages.equality import Scale, require, tolerance_of
from edgekit.stages.installed import require_engine
from edgekit.stages.magnitudes import QUANTIZED
from edgekit.stages.parts import Part, client_ports
from edgekit.stages.reference_run import has_reference, reference_run
from edgekit.trace import Equality

__all__ = ["Pipeline", "bring", "deploy"]

STOP_S = 5.0
"""Time that all devices together have to end their stages; a visiting agent ends with its connection anyway."""

MOST_GOLDEN = 64
"""How often each golden frame is sent through a pipeline at most."""

Arrays = Mapping[str, NDArray[np.generic]]
Admit = Callable[["Pipeline"], None]
Edge = tuple[End, int, End, int]
Addresses = dict[Edge, tuple[str, int]]
"""Where (source, replica) dials (receiver, replica); the client dials both its first and its last stages."""


class Pipeline:
    """A plan in motion; ``release`` is what its stages are called by, ``equality`` how it compared with the unsplit run."""

    def __init__(self, plan: Plan, graph: Graph, cluster: Cluster, connections: Mapping[str, Connection], release: str):
        self.plan = plan
        self.graph = graph
        self.cluster = cluster
        self.connections = connections
        self.release = release
        self.authority: Authority | None = None
        """Who vouches for its machines; None: nothing between them is encrypted."""
        self.transport: Transport = "socket"
        """What carries its links."""
        self.addresses: Addresses = {}
        self.loaded: dict[tuple[int, int], Loaded] = {}
        self.equality: Equality | None = None
        self.frames: tuple[Arrays, ...] = ()
        """Inputs that it is known to answer rightly; empty: they are not kept any more."""
        self.follow: Follow | None = None
        """Knows what takes its place; None: nothing does."""

    @property
    def turns(self) -> int:
        """Frames after which the replicas of all stages meet again."""
        return math.lcm(*(len(stage.devices) for stage in self.plan.stages))

    def device(self, end: End, replica: int) -> str:
        """The name of the device behind one end of a message."""
        return self.cluster.client if end == CLIENT else self.plan.stages[end].devices[replica]

    @property
    def virtual(self) -> bool:
        """Whether its devices are only described, so that its client has a virtual clock."""
        return any(connection.virtual for connection in self.connections.values())

    @contextmanager
    def client(self) -> Iterator[Streaming]:
        """Open the pipeline's ends: a client that streams frames through it."""
        if self.virtual:
            yield VirtualClient(self.plan, self.graph, self.cluster, self.connections, self.release)
            return
        with Client(self.target(), self.follow) as client:
            yield client

    def target(self) -> Target:
        """What a client has to know of it."""
        names = [f"stage {index}@{'|'.join(stage.devices)}" for index, stage in enumerate(self.plan.stages)]
        keys = self.authority.issue(self.cluster.client) if self.authority else None
        ports = client_ports(self.plan, self.graph, self.cluster)
        load_s = max((loaded.load_s for loaded in self.loaded.values()), default=0.0)
        return Target(self.release, ports, self.addresses, names, keys, load_s, self.transport)

    def logs(self, spans: int = 0) -> dict[str, LogsReply]:
        """What each device says of its stages."""
        return {name: connection.logs(spans) for name, connection in self.connections.items()}

    def stop(self) -> None:
        """End the plan's stages, on all devices at once; none is waited for longer than STOP_S."""

        def end(connection: Connection) -> None:
            with contextlib.suppress(DeviceError):
                connection.stop(self.release)

        threads = [
            threading.Thread(target=end, args=(connection,), name="stopping", daemon=True) for connection in self.connections.values()
        ]
        for thread in threads:
            thread.start()
        end_s = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(end_s - time.monotonic(), 0.0))


@contextmanager
def deploy(
    plan: Plan,
    graph: Graph,
    model: Model,
    cluster: Cluster,
    *,
    home: Path | None = None,
    tell: Tell = silent,
    secure: bool = True,
    transport: Transport = "socket",
) -> Iterator[Pipeline]:
    """A pipeline that serves while the context is open; with ``home`` it stays when the context is left.

    Every stage answers the inputs that it would get for the first golden frame before any is linked, and the linked
    pipeline then answers all golden frames; both are compared with the unsplit run. These are the model's frames, or
    made up. ``transport`` carries the links, which are encrypted where they are to be ``secure``.

    Raises:
        PlanError: the plan does not fit the graph or the cluster.
        UsageError: the transport does not suit it.
        DeviceError: a device does not start or cannot load its stage, or somebody else holds it; the message names it.
        PromiseError: a stage, or the whole, does not give what the unsplit run gives.
    """
    plan = validate(plan, graph)
    check(plan, graph, cluster)
    tell("cutting stages")
    with bring(prepare(plan, graph, model, cluster), home=home, tell=tell, secure=secure, transport=transport) as pipeline:
        yield pipeline


@contextmanager
def bring(
    release: Release,
    *,
    home: Path | None = None,
    tell: Tell = silent,
    admit: Admit = lambda made: None,
    secure: bool = True,
    transport: Transport = "socket",
) -> Iterator[Pipeline]:
    """As ``deploy``, with a release that has been prepared; ``admit`` may refuse the devices before anything is put there."""
    plan, cluster = release.plan, release.cluster
    if home is not None:
        check_home(home, [name for name in plan.devices if scheme_of(cluster.device(name)).here])
    with ExitStack() as stack:
        tell("connecting")
        connections = connect_all(map(cluster.device, plan.devices), stack, home=home, purpose="a deployment")
        pipeline = Pipeline(plan, release.graph, cluster, connections, release.name)
        if secure:
            pipeline.authority = Authority.fresh(cluster.name)
            if home is not None:
                pipeline.authority.keep(home, release.name)
        pipeline.transport = transport
        pipeline.frames = tuple(golden.inputs for golden in release.golden)
        require_transport(transport, connections)
        admit(pipeline)
        try:
            tell("loading stages")
            worst = _load(pipeline, release, tell)
            stack.enter_context(_link(pipeline, release.parts, home))
            tell("comparing with the unsplit run")
            pipeline.equality = _check(pipeline, release, worst)
            yield pipeline
        except Exception:  # not on an interruption, which may have come in the middle of a request
            pipeline.stop()
            raise
        if home is None:
            pipeline.stop()


def _load(pipeline: Pipeline, release: Release, tell: Tell) -> float:
    """Load every part; compare each stage on the very inputs that the unsplit run would give it."""
    golden = release.golden[0]
    known: dict[str, NDArray[np.generic]] = dict(golden.inputs)
    worst, allowed = 0.0, _tolerance(release)
    scales = (*golden.scales, *_in_steps(release))
    expected: dict[int, Arrays] = {}
    for done, (spec, artifact) in enumerate(release.parts):
        count = len(release.parts)
        tell(f"stage {done + 1} of {count}: loading it on {spec.device}", done, count)
        connection = pipeline.connections[spec.device]
        if spec.stage not in expected:
            expected[spec.stage] = reference_run(artifact)(known)
            known |= expected[spec.stage]
        require_engine(spec.variant, connection)
        upload(artifact, connection)
        keys = pipeline.authority.issue(spec.device) if pipeline.authority else None
        listen = spec.listen or door(connection, _callers(pipeline, spec))
        spec = msgspec.structs.replace(spec, listen=listen, keys=keys, transport=pipeline.transport)
        loaded, outputs = connection.load(spec, Layout(spec.inputs).pack(known))
        pipeline.loaded[spec.stage, spec.replica] = loaded
        if loaded.build_s:
            built = f"the engine that took {loaded.build_s:.1f} s to build"
            tell(f"{spec.name}: loaded in {loaded.load_s:.1f} s {built}", done + 1, count)
        got = Layout(spec.outputs).unpack(outputs)
        what = f"{spec.name} on the inputs of stage {spec.stage} for 1 frame"
        bound = 0.0 if has_reference(artifact.engine) else allowed
        worst = max(worst, require(got, expected[spec.stage], what, tolerance=bound, scales=scales).worst)
    return worst


def _tolerance(release: Release) -> float:
    return tolerance_of(*precisions(release.plan, release.graph))


def _in_steps(release: Release) -> Iterator[Scale]:
    """Of what travels in eight bits: it has as many steps as its range, however few of them one frame uses."""
    for spec, _ in release.parts:
        for tensor in spec.outputs:
            if tensor.dtype in ("int8", "uint8") and tensor.name not in release.graph.outputs:
                yield Scale(tensor.name, QUANTIZED)


@contextmanager
def _link(pipeline: Pipeline, parts: Sequence[Part], home: Path | None) -> Iterator[None]:
    """Make every link of the plan, through a shaper where the cluster asks for one."""
    if pipeline.virtual:
        for spec, _ in parts:
            pipeline.connections[spec.device].run(Run(plan=spec.plan, stage=spec.stage, replica=spec.replica, receivers=()))
        yield
        return
    edges = list(_edges(pipeline))
    routes = {edge: route for edge in edges if (route := _route(pipeline, edge)) is not None}
    relays = {edge: relay for edge in edges if (relay := _relay(pipeline, edge)) is not None}
    if relays and home is not None:
        names = ", ".join(f"{pipeline.device(*edge[:2])} → {pipeline.device(*edge[2:])}" for edge in relays)
        raise UsageError(f"{names} would be relayed by this process, and so cannot stay; use edgekit run or verify with the plan")
    shaping = open_routes(list(routes.values()), _lifeline(pipeline))
    with shaping as shaped, open_relays(list(relays.values())) as relayed:
        listens = {key: (loaded.host, loaded.port) for key, loaded in pipeline.loaded.items()}
        for edge in edges:
            pipeline.addresses[edge] = listens[_listener(edge)]
        pipeline.addresses |= dict(zip(routes, shaped, strict=True)) | dict(zip(relays, relayed, strict=True))
        for spec, _ in reversed(parts):  # each finds those that follow ready
            mine = [edge for edge in edges if edge[:2] == (spec.stage, spec.replica) and edge[2] != CLIENT]
            ends = tuple(_endpoint(pipeline, edge) for edge in mine)
            pipeline.connections[spec.device].run(Run(plan=spec.plan, stage=spec.stage, replica=spec.replica, receivers=ends))
        yield


def _endpoint(pipeline: Pipeline, edge: Edge) -> Endpoint:
    """Where the receiver of an edge listens."""
    host, port = pipeline.addresses[edge]
    name = _called(pipeline, edge)
    return Endpoint(end=edge[2], replica=edge[3], host=host, port=port, name=name)


def _called(pipeline: Pipeline, edge: Edge) -> str:
    """What the certificate of the receiver of an edge calls it."""
    return named(pipeline.cluster.name, pipeline.device(*edge[2:]))


def _edges(pipeline: Pipeline) -> Iterator[Edge]:
    """Every pair of replicas that meet in some frame."""
    stages = pipeline.plan.stages
    for source, receiver in pipeline.plan.messages():
        here = 1 if source == CLIENT else len(stages[source].devices)
        there = 1 if receiver == CLIENT else len(stages[receiver].devices)
        yield from ((source, a, receiver, b) for a, b in meeting(here, there))


def _route(pipeline: Pipeline, edge: tuple[End, int, End, int]) -> Route | None:
    """How the proxy of an edge has to behave; None where the link is real."""
    names = [pipeline.device(*edge[:2]), pipeline.device(*edge[2:])]
    there, back = pipeline.cluster.link(names[0], names[1]), pipeline.cluster.link(names[1], names[0])
    if names[0] == names[1] or not any(link is not None and link.shaped for link in (there, back)):
        return None
    if edge[2] == CLIENT:  # the client dials, so results come on the way back
        there, back = back, there
    loaded = pipeline.loaded[_listener(edge)]
    return Route(loaded.host, loaded.port, there.shape if there else Shape(), back.shape if back else Shape())


def _relay(pipeline: Pipeline, edge: tuple[End, int, End, int]) -> Relay | None:
    """How an edge leads through this process, where it is to."""
    names = [pipeline.device(*edge[:2]), pipeline.device(*edge[2:])]
    link = pipeline.cluster.link(names[0], names[1])
    if names[0] == names[1] or link is None or not link.relay:
        return None
    loaded = pipeline.loaded[_listener(edge)]
    if edge[2] == CLIENT:
        names.reverse()  # it dials
    return Relay(pipeline.connections.get(names[0]), pipeline.connections.get(names[1]), loaded.host, loaded.port)


def _listener(edge: tuple[End, int, End, int]) -> tuple[int, int]:
    """The stage and replica that listens for an edge: the receiver, or the source of what the client receives."""
    source, here, receiver, there = edge
    if receiver != CLIENT:
        return receiver, there
    assert source != CLIENT
    return source, here


def _callers(pipeline: Pipeline, spec: StageSpec) -> Iterator[Connection]:
    """The devices that dial a stage themselves; the client is on this machine."""
    for edge in _edges(pipeline):
        if edge[2:] == (spec.stage, spec.replica) and edge[0] != CLIENT:
            name = pipeline.device(*edge[:2])
            link = pipeline.cluster.link(name, spec.device)
            if link is None or not link.relay:
                yield pipeline.connections[name]


def _lifeline(pipeline: Pipeline) -> tuple[Path, str] | None:
    """Whom the proxies of a pipeline that stays follow to their end; None: they end with this process."""
    staying = (connection for connection in pipeline.connections.values() if connection.stays)
    return next(((agent, pipeline.release) for each in staying if (agent := each.agent_socket) is not None), None)


def _check(pipeline: Pipeline, release: Release, worst_stage: float) -> Equality:
    """The golden frames through the linked pipeline, each met by every replica, against the unsplit run."""
    turns, allowed = min(pipeline.turns, MOST_GOLDEN), _tolerance(release)
    golden = [each for each in release.golden for _ in range(turns)]
    outcomes = []
    with pipeline.client() as client:
        for number, (each, result) in enumerate(zip(golden, client.stream([each.inputs for each in golden]), strict=True), start=1):
            what = f"the pipeline, frame {number} of {len(golden)}"
            outcomes.append(require(result.value(), each.expected, what, tolerance=allowed, scales=each.scales))
    worst = max(outcomes, key=lambda outcome: outcome.worst)
    equal = all(outcome.bit_equal for outcome in outcomes)
    return Equality(len(golden), equal, max(worst.worst, worst_stage), allowed, worst.tensor)
