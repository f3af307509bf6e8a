"""The verbs of an agent as typed messages: facts, put, load, measure, run, logs, stop, and what each answers."""

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.codec import FREE, Written, carried
from edgekit.device import RunsOn, Variant
from edgekit.energy import Energy
from edgekit.graph import Graph, Tensor
from edgekit.graph.work_kinds import Part, parts_of
from edgekit.machine import Machine
from edgekit.quantity import Bytes, Count, Name, Rate, Seconds
from edgekit.runtime.board_facts import BoardFacts, BoardMemory, BoardPort
from edgekit.runtime.links.ends import End, end_name
from edgekit.runtime.links.tls import Keys
from edgekit.runtime.stage.status_records import Heat, StageStatus, TransferTime
from edgekit.serial_line import LineTime
from edgekit.ticks import Ticks

__all__ = [
    "REAL",
    "Alive",
    "Claim",
    "Done",
    "Emulation",
    "End",
    "Endpoint",
    "Engine",
    "Facts",
    "FactsReply",
    "Greet",
    "Greeted",
    "Hold",
    "KernelTime",
    "Load",
    "Loaded",
    "Logs",
    "LogsReply",
    "Measure",
    "Measured",
    "Port",
    "Probe",
    "Probed",
    "Put",
    "PutReply",
    "Reply",
    "Request",
    "Run",
    "StageSpec",
    "StageStatus",
    "Stop",
    "TransferTime",
    "Transport",
    "Work",
    "coding_works",
    "end_name",
    "works",
]

Transport = Literal["socket", "grpc"]
"""What carries links."""


class Work(Struct, frozen=True, kw_only=True):
    """What one unit asks of a machine; only a device that computes its times from a description looks at it.

    ``nbytes``: all that it reads and makes, of which ``weight_bytes`` are weights. ``parts``: its kernels, by what they do.
    """

    macs: Count
    nbytes: Count
    weight_bytes: Count = 0
    parts: tuple[Part, ...] = ()


def works(graph: Graph, start: int, stop: int) -> tuple[Work, ...]:
    """The work of each of the units ``[start, stop)``: its MACs, the bytes it reads and makes, and its kernels."""
    segments = [graph.segment(unit, unit + 1) for unit in range(start, stop)]
    return tuple(
        Work(
            macs=s.macs,
            nbytes=s.weight_bytes + sum(tensor.nbytes for tensor in (*s.inputs, *s.outputs)),
            weight_bytes=s.weight_bytes,
            parts=parts_of(graph, s.start),
        )
        for s in segments
    )


def coding_works(ends: Iterable[Written]) -> tuple[Work, ...]:
    """The work of the codecs at the ends of a stage: each reads a tensor and makes another."""
    moved = [sum(each.nbytes for each in (tensor, *carried(tensor, codec))) for tensor, codec in ends if codec not in FREE]
    return tuple(Work(macs=0, nbytes=nbytes, parts=(Part("elementwise", 0, nbytes),)) for nbytes in moved)


class Emulation(Struct, frozen=True):
    """What makes the times of a device others than its machine takes just then; None where they are as they come.

    ``works``: of the units, from which a described device computes its times. ``speed``: the share of its speed that a machine plays
    with. ``compared``: other work, that is always the same, is done in between, to tell how fast the machine is just then.
    """

    works: tuple[Work, ...] = ()
    speed: float = 1.0
    compared: bool = False


REAL = Emulation()
"""Of a machine that plays no other."""


class Port(Struct, frozen=True, kw_only=True):
    """One neighbour of a stage: which end, served by how many replicas, the tensors of its message, and what certificates call them."""

    end: End
    replicas: Annotated[int, Meta(ge=1)]
    tensors: tuple[Tensor, ...]
    names: tuple[Name, ...] = ()


class StageSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a stage process needs to know of its part in a plan.

    ``model`` is a digest in the agent's store. ``port``: where it has to listen, to be found where it was; 0: anywhere.
    ``owner``: who deployed it, as others are told. ``keys``: who it is to its neighbours; None: nothing is encrypted.
    ``transport``: what carries its links. ``board``: of a stage whose engine runs on a microcontroller, where that is.
    """

    plan: Name
    stage: Count
    replica: Count
    replicas: Annotated[int, Meta(ge=1)]
    device: Name
    model: Name
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    sources: tuple[Port, ...]
    receivers: tuple[Port, ...]
    variant: Variant = Variant()
    cores: tuple[int, ...] | None = None
    emulation: Emulation | None = None
    listen: str | None = None
    port: Count = 0
    owner: str = ""
    keys: Keys | None = None
    transport: Transport = "socket"
    board: BoardPort | None = None

    @property
    def name(self) -> str:
        return f"stage {self.stage}@{self.device}"


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where one replica of a receiving stage listens, and what its certificate calls it."""

    end: End
    replica: Count
    host: str
    port: int
    name: str = ""


class Greet(Struct, frozen=True, tag="greet"):
    """Which edgekit is it that answers here?"""


class Greeted(Struct, frozen=True, tag="greeted"):
    """The version of the agent, the digest of its file if it is one, and its monotonic clock."""

    version: str
    digest: str = ""
    now_s: float | None = None


class Alive(Struct, frozen=True, tag="alive"):
    """The controller is still there; not answered."""


class Facts(Struct, frozen=True, tag="facts"):
    """What machine is this, and what microcontroller is plugged into it there?"""

    board: BoardPort | None = None


class Engine(Struct, frozen=True):
    """What can run segments on a device: its name, its version, and the execution providers of onnxruntime."""

    name: Name
    version: str = ""
    providers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """
        >>> str(Engine("onnxruntime", "1.31.1", ("CPUExecutionProvider",)))
        'onnxruntime 1.31.1'
        """
        return f"{self.name} {self.version}".strip()


class FactsReply(Struct, frozen=True, tag="facts_reply", kw_only=True):
    """The machine of a device, the engines there, and what can carry links.

    ``board``: the microcontroller that was asked for; None where it does not answer, with the reason in ``boardless``.
    ``held``: the stage that has its line just now; then this is what the board said before.
    """

    version: str
    machine: Machine
    engines: tuple[Engine, ...]
    transports: tuple[str, ...] = ("socket",)
    board: BoardFacts | None = None
    boardless: str = ""
    held: str = ""

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers of the onnxruntime there."""
        return tuple(provider for engine in self.engines for provider in engine.providers)


class Put(Struct, frozen=True, tag="put"):
    """Add the blob, which is what follows ``offset`` or a piece of it, to the file of a digest. Without a size: how much is there?"""

    digest: Name
    size_bytes: Bytes = 0
    offset: Bytes = 0


class PutReply(Struct, frozen=True, tag="put_reply"):
    """Whether the store holds it whole now, and how many bytes of it."""

    present: bool
    held_bytes: Bytes = 0


class Load(Struct, frozen=True, tag="load"):
    """Start a stage process and load its model; the blob is a golden input, the reply's blob its output."""

    spec: StageSpec


class Loaded(Struct, frozen=True, tag="loaded", kw_only=True):
    """A stage that is ready to be linked. Memory is resident bytes: before the model, and at the peak.

    ``build_s`` is what its engine took to build, now or before, where there is one.
    """

    host: str
    port: int
    load_s: Seconds
    base_bytes: Bytes
    peak_bytes: Bytes
    build_s: Seconds = 0.0


class Measure(Struct, frozen=True, forbid_unknown_fields=True, tag="measure", kw_only=True):
    """Time a model in a stage process of its own, as one segment or kernel by kernel; or see what it takes of the device's energy.

    ``rate_per_s``: how often a frame comes in, as in a stream; None: one as soon as the one before is done.
    ``rests``: how many more runs follow, each after a pause, as far as the budget goes once more.
    ``data``: a digest in the agent's store of the inputs to run on, in their layout; empty: the device makes some up.
    ``board``: where the microcontroller is, for an engine that runs on one.
    """

    model: Name
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    mode: Literal["segment", "kernels", "energy"]
    variant: Variant = Variant()
    cores: tuple[int, ...] | None = None
    emulation: Emulation | None = None
    budget_s: Seconds = 1.0
    least: Annotated[int, Meta(ge=2)] = 10
    rate_per_s: Rate | None = None
    rests: Count = 0
    data: str = ""
    board: BoardPort | None = None


class KernelTime(Struct, frozen=True, kw_only=True):
    """Median time of one kernel of the optimised graph, and the execution provider that ran it; empty where none is known.

    ``ticks``: what a microcontroller counted; the names of its kernels are those of the nodes that they come from.
    """

    name: str
    op: str
    seconds: Seconds
    provider: str = ""
    ticks: Ticks | None = None


class Measured(Struct, frozen=True, tag="measured", kw_only=True):
    """Raw samples of one run each; for kernels, of runs with the profiler on, with the optimised graph as the blob.

    ``first_s`` is the very first run, which chooses kernels and finds nothing in a cache.
    ``peak_bytes`` is the most that was resident at all; ``load_peak_bytes`` while the model was loaded, ``run_peak_bytes`` after
    that, both with what a GPU holds where it shares the memory. ``proportional_bytes`` counts what other processes have too in parts;
    ``library_bytes`` is by how much more of the libraries was in memory after the run than before the load.
    ``stolen`` is the share of the machine's processor time that a hypervisor took away during the runs.
    ``rested_s`` are the runs that came after a pause each.
    ``slowness`` is how many times as long as usual the machine took for anything, where that was looked at.
    ``runs_on`` is the processor that the engine kept busy. Of a microcontroller all samples are what it counts while it computes,
    ``line`` are requests on its serial line in both directions, and ``memory`` is what it says of its own.
    """

    samples_s: tuple[Seconds, ...]
    cpu_s: tuple[Seconds, ...]
    base_bytes: Bytes
    peak_bytes: Bytes
    load_s: Seconds
    kernels: tuple[KernelTime, ...] = ()
    energy: Energy | None = None
    first_s: Seconds = 0.0
    build_s: Seconds = 0.0
    load_peak_bytes: Bytes | None = None
    run_peak_bytes: Bytes | None = None
    proportional_bytes: Bytes | None = None
    library_bytes: Bytes = 0
    stolen: float = 0.0
    rested_s: tuple[Seconds, ...] = ()
    slowness: Annotated[float, Meta(gt=0)] = 1.0
    runs_on: RunsOn = "cpu"
    line: tuple[LineTime, ...] = ()
    memory: BoardMemory | None = None


class Probe(Struct, frozen=True, tag="probe", kw_only=True):
    """Echo frames (no address given: the reply says where), or time frames of ``sizes`` bytes to an echo, or from it (``pull``).

    A size is done after ``samples`` round trips, or after a few of them once ``budget_s`` is spent on it. Sizes that
    follow one whose round trip took ``enough_s`` are left out. With a ``window`` above 1 so many frames are in flight, and
    what is told is the time from one answer to the next: how long a frame occupies the link.
    """

    listen: str | None = None
    host: str | None = None
    port: int = 0
    sizes: tuple[int, ...] = ()
    pull: bool = False
    samples: Annotated[int, Meta(ge=1)] = 20
    budget_s: Seconds = 0.4
    enough_s: Seconds | None = None
    window: Annotated[int, Meta(ge=1)] = 1
    keys: Keys | None = None
    transport: Transport = "socket"


class Probed(Struct, frozen=True, tag="probed", kw_only=True):
    """Round trips per size in seconds; processor seconds that sender and receiver spent on each message of it; segments sent again,
    where the transport tells.

    ``host`` is where an echo listens, or the address from which one was dialled.
    """

    host: str = ""
    port: int = 0
    round_trips_s: tuple[tuple[Seconds, ...], ...] = ()
    send_cpu_s: tuple[Seconds, ...] = ()
    receive_cpu_s: tuple[Seconds, ...] = ()
    retransmits: tuple[Count, ...] = ()


class Run(Struct, frozen=True, tag="run", kw_only=True):
    """Dial the receivers of a loaded stage and begin to serve frames."""

    plan: Name
    stage: Count
    replica: Count
    receivers: tuple[Endpoint, ...]


class Logs(Struct, frozen=True, tag="logs"):
    """What happened (after a mark, or of late), and how are the stages?

    ``spans`` limits the latest frames that are told; all that passed after ``since_s`` of the device's monotonic clock are told besides.
    """

    spans: Count = 0
    after: Bytes | None = None
    since_s: float | None = None


class LogsReply(Struct, frozen=True, tag="logs_reply", kw_only=True):
    """The agent's log, up to a mark from where it goes on, and the state of each of its stages.

    ``pages``: HOST:PORT of its pages for monitors.
    """

    text: str
    stages: tuple[StageStatus, ...]
    mark: Bytes = 0
    heat: Heat = Heat()
    pages: str = ""


class Stop(Struct, frozen=True, tag="stop"):
    """End the stages of a plan, or, without one, the agent itself."""

    plan: Name | None = None


class Claim(Struct, frozen=True, tag="claim"):
    """Have the device for oneself, for a purpose that others are told, until this connection ends."""

    owner: str
    purpose: str


class Hold(Struct, frozen=True, tag="hold"):
    """Keep this connection open: its end is the end of the plan here, or of the agent."""

    plan: str


class Done(Struct, frozen=True, tag="done"):
    """It is done."""


Request = Greet | Alive | Facts | Put | Load | Measure | Probe | Run | Logs | Stop | Claim | Hold
Reply = Greeted | FactsReply | PutReply | Loaded | Measured | Probed | LogsReply | Done
