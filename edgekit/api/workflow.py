"""The arrows of the way through the house: export, profile, partition, and what they read."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from devices import Connection
from edgekit import onnxio
from edgekit.api.display import showing
from edgekit.cluster import Cluster
from edgekit.codec import CODECS, Codec
from edgekit.costs import Costs, nouns
from edgekit.device import MCU, OF_FP32
from edgekit.errors import GraphError, PlanError, UsageError
from edgekit.files import read, write_bytes
from edgekit.front import ANYHOW, Front, Question
from edgekit.graph import Graph
from edgekit.input import Input, inputs_of
from edgekit.losses import Losses
from edgekit.objectives import USUAL, Objective
from edgekit.onnxio import Model
from edgekit.plan import Plan, validate
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.progress import Tell, in_turn, prefixed, silent
from partitioner.choice import choose
from partitioner.cost import price
from partitioner.feasibility import minimised

__all__ = [
    "export",
    "load",
    "partition",
    "predict",
    "profile",
    "read_costs",
    "read_front",
    "read_plan",
    "read_profile",
]

if TYPE_CHECKING:
    from edgekit.export import Target

Keep = Callable[[Profile], None]


def _forget(profile: Profile) -> None:
    pass


@showing("exporting")
def export(
    target: "Target | Path",
    output: str | Path,
    *,
    inputs: object = (),
    pixels: bool = False,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    data: str | Path | None = None,
    tell: Tell = silent,
) -> Graph:
    """Write a network as a file that edgekit can profile and cut.

    Args:
        target: a torch.nn.Module, a function that returns one, PACKAGE.MODULE:FACTORY, or an .onnx or .tflite file.
        inputs: a shape such as ``(1, 3, 224, 224)``, ``"1x3x224x224"`` or ``"ids:int64:1x16"``, or an example tensor or array;
            of several inputs a list of these, or a dict by name. Without any, the network's ``input_shape`` is taken.
        pixels: images come as pixels in uint8, which the network turns into ``(pixel / 255 - mean) / std`` itself.
        data: frames as for ``edgekit run``. The network is run once before it is written: on the first of these, or on made-up
            values that its operators accept.

    Raises:
        GraphError: the network cannot be read, a shape of it is not fixed, or it does not run.
        FrameError: the data does not fit the network's inputs.
        UsageError: torch or tflite is needed and not installed, the factory is not there, the inputs are none of
            these, or the output is the .onnx file itself.
    """
    given = inputs_of(inputs)
    path = Path(target) if isinstance(target, str | Path) else None
    if path is None or (":" in str(target) and not path.exists()):
        from edgekit.export import export as export_torch

        assert not isinstance(target, Path)
        made = export_torch(target, given, tell)
    else:
        if path.resolve() == Path(output).resolve():
            raise UsageError(f"{output} is the network to export, which would be lost; give another output, such as net.onnx")
        tell("preparing")
        source = onnxio.from_tflite(path) if path.suffix == ".tflite" else path
        made = onnxio.normalise(source, {each.name: each.shape for each in given})
    made = onnxio.with_pixels(made, mean, std) if pixels else made
    model = onnxio.load(made)
    _check_types(onnxio.read(model), given)
    onnxio.try_out(_on_frames(model, data))
    write_bytes(output, made)
    return onnxio.read(output)


def _check_types(graph: Graph, inputs: Sequence[Input]) -> None:
    for each in inputs:
        for tensor in graph.cuts[0].tensors:
            if each.dtype and tensor.name == (each.name or tensor.name) and tensor.dtype != each.dtype:
                told = f"expected {tensor.dtype}, as the network takes it, got {each.dtype}"
                raise GraphError(f"--input {tensor.name}: {told}; leave the type out")


def _on_frames(model: Model, data: str | Path | None) -> Model:
    """The model with frames to be tried on; of a large file only the first few."""
    if data is None:
        return model
    from edgekit.deploy.serve.golden_frames import FRAMES
    from edgekit.frame_files import read_frames

    held = islice(read_frames(str(data), onnxio.read(model).cuts[0].tensors), FRAMES)
    return replace(model, frames=tuple(frame for _, frame in held))


def load(path: str | Path, twins: Iterable[str | Path] = (), data: str | Path | None = None) -> tuple[Graph, Model]:
    """A Graph, and the model behind it to cut stages from; ``twins`` are the same network in other precisions, for stages to run in.

    ``data``: inputs as the network will see them, as for ``edgekit run``, to profile and to check deployments on; without it
    they are made up.
    """
    model = _on_frames(onnxio.load(path), data)
    return onnxio.paired(onnxio.read(model), model, map(onnxio.load, twins))


def read_costs(path: str | Path) -> tuple[Graph, Cluster, Profiles]:
    """What a table of plain numbers describes: a graph, a cluster and profiles."""
    return nouns(read(path, Costs))


def read_profile(path: str | Path) -> Profile:
    """A profile from its file."""
    return read(path, Profile)


def read_plan(path: str | Path, pick: str = "knee") -> Plan:
    """A plan from its file, or the one that ``pick`` names from a front's (see ``partitioner.choice``).

    Raises:
        FormatError: neither a plan nor a front.
        PlanError: the front has no such plan.
    """
    front = read_front(path)
    if front is None:
        return read(path, Plan)
    if not front.plans:
        raise PlanError(f"{path} holds no plan; run edgekit partition again")
    return choose(front, pick)


def read_front(path: str | Path) -> Front | None:
    """A front from its file; None: the file is of something else, such as a plan."""
    return read(path, Front) if _holds_front(Path(path)) else None


def _holds_front(path: Path) -> bool:
    """Whether a file says of itself that it holds a front; what else may be wrong with it is found by who reads it."""
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return path.name.endswith("front.json")
    return isinstance(raw, dict) and raw.get("format") == "edgekit.front"


@showing("profiling")
def profile(
    graph: Graph,
    model: Model,
    cluster: Cluster,
    *,
    devices: Iterable[str] | None = None,
    budget_s: float = 2.0,
    tell: Tell = silent,
    keep: Keep = _forget,
    energy: bool = False,
    full: bool = False,
    rate_per_s: float | None = None,
    codecs: bool | Sequence[Codec] = False,
) -> Profiles:
    """What the graph costs on each device: the whole measured, its kernels mapped to units. One device at a time.

    ``energy``: also joules, where the device has a meter, which takes twenty seconds more.
    ``codecs``: also what it takes to send tensors in these; True: in every one that there is.
    ``full``: also the beginnings and ends at the sixteen cheapest cuts, measured as stages.
    ``rate_per_s``: at which frames come in; None: one as soon as the one before is done.

    ``keep`` gets each profile as soon as it is there, so that nothing is lost where a later device fails.
    """
    from edgekit.deploy.serve.connections import connect_all

    found = Profiles()
    chosen = [cluster.device(name) for name in devices] if devices else cluster.devices
    asked = _Asked(budget_s, rate_per_s, tuple(CODECS[1:] if codecs is True else codecs or ()), full, energy)
    turns = in_turn(tell, [1.0] * len(chosen))
    for number, (device, turn) in enumerate(zip(chosen, turns, strict=True), start=1):
        of_all = f" ({number} of {len(chosen)})" if len(chosen) > 1 else ""
        here = prefixed(turn, f"{device.name}{of_all}")
        here("connecting")
        with ExitStack() as stack:
            connection = connect_all((device,), stack, purpose="a profile")[device.name]
            found = found.add(*_profile_device(graph, model, connection, asked, here, keep))
    return found


class _Asked(NamedTuple):
    """How each device is profiled."""

    budget_s: float
    rate_per_s: float | None
    codecs: tuple[Codec, ...]
    full: bool
    energy: bool

    def sizes_s(self, graph: Graph) -> tuple[float, ...]:
        """About how long the whole network with its kernels, codecs, ends and energy take."""
        from profilers.measure.rounds import LEAST_BURSTS
        from profilers.measure.segments import BURST_S, ends

        bursts = LEAST_BURSTS * len(ends(graph))
        wanted = (True, bool(self.codecs), self.full, self.energy)
        return tuple(a * b for a, b in zip(wanted, (2 * self.budget_s + 1, 5, 2 * BURST_S * bursts, 20), strict=True))


def _profile_device(graph: Graph, model: Model, connection: Connection, asked: _Asked, tell: Tell, keep: Keep) -> tuple[Profile, ...]:
    """The profiles of a device, of the network itself and of each twin; of a microcontroller those of twins alone, if there are any."""
    from profilers.measure.codec_times import time_codecs
    from profilers.measure.profiler import profile_graph, with_energy
    from profilers.measure.segments import ends, measure_segments

    made: list[Profile] = []
    twins = tuple(model.twins.values())
    networks = twins if twins and connection.device.variant.engine == MCU and graph.precision in OF_FP32 else (None, *twins)
    for network, turn in zip(networks, in_turn(tell, [1.0] * len(networks)), strict=True):
        whole, codecs, full, energy = in_turn(turn, asked.sizes_s(graph))
        each = profile_graph(
            graph, model, connection, variant=None, budget_s=asked.budget_s, rate_per_s=asked.rate_per_s, twin=network, tell=whole
        )
        if asked.codecs and not each.on_board:  # a board has none
            codecs("codecs")
            each = msgspec.structs.replace(each, codecs=made[0].codecs if made else time_codecs(connection, each.variant, asked.codecs))
        if asked.full:
            each = measure_segments(graph, model, connection, each, ends(graph), tell=full, keep=keep)
        if asked.energy:
            energy("energy, ten seconds at rest and ten at work")
            each = with_energy(each, graph, model, connection)
        keep(each)
        made.append(each)
    return tuple(made)


@showing("partitioning")
def partition(
    graph: Graph,
    model: Model | None,
    cluster: Cluster,
    profiles: Profiles,
    *,
    objectives: Sequence[Objective] = USUAL,
    question: Question = ANYHOW,
    measure: bool = False,
    doubt_s: float = 0.0,
    tell: Tell = silent,
    keep: Keep = _forget,
    most_s: float = float("inf"),
) -> tuple[Front, Profiles]:
    """The front that answers a question, and the profiles behind it; see ``partitioner.solve.exact.solve``.

    With ``measure``, segments that end on the front are measured on their devices and the front is solved again,
    until nothing on it is estimated; then, for ``doubt_s``, those that may belong on it were they quicker than estimated.
    After ``most_s`` a segment on the front is measured once, however much its times vary.
    Where the question holds losses of accuracy, these are minimised too.

    Raises:
        PlanError: no plan meets the memory caps and constraints, or the devices cannot reach each other.
    """
    from partitioner.solve.exact import solve

    objectives = minimised(objectives, question.losses)

    def search(found: Profiles) -> Front:
        return solve(graph, cluster, found, objectives=objectives, question=question)

    if measure and model is not None:
        from edgekit.api.measured_front import measure_front

        return measure_front(graph, model, cluster, profiles, search, doubt_s, tell, keep, most_s=most_s)
    tell("searching for the front")
    return search(profiles), profiles


def predict(plan: Plan, graph: Graph, cluster: Cluster, profiles: Profiles, *, losses: Losses | None = None) -> Plan:
    """A plan, also one written by hand, with what it is predicted to cost."""
    plan = validate(plan, graph)
    return msgspec.structs.replace(plan, predicted=price(plan, graph, cluster, profiles, losses=losses))
