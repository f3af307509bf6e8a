"""What a plan costs, as equations: one frame alone, a frame in a full pipeline, and the memory of each host.

    latency  =  Σ compute  +  Σ messages                      (input and result return are messages too; each compute after a pause)
    compute  =  decode + segment + encode                     (codecs are nodes of the stages' models)
                and the serial line before it, of a stage on a microcontroller: latency + bytes in and out of the board, as it has them
    message  =  link latency + bytes / rate                   (all tensors of one source and receiver travel together, as they are written)
    period   =  the largest load per frame of a device, a directed link, or a medium that links share
    load     =  of a device: its stages, and what the transport costs its processor for each message and each byte of it; of a
                link: bytes / rate, or what the transport costs at an end where it has a core to itself, if that is more
    memory   =  of a host: Σ over its stages (the peak of its process, see footprints.py, + the rings of its links, see edgekit/ring.py,
                one for each replica of a neighbour); of a microcontroller: its RAM and its flash, by the table of its planner
    energy   =  Σ net joules of the stages + Σ watts at rest of the machines in use · seconds between two frames
    loss     =  Σ over what is sent or run otherwise than it is, each measured alone

Every solver and every plan written by hand is priced here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from math import gcd, lcm
from typing import Literal, NamedTuple

from edgekit.cluster import Cluster, Link
from edgekit.codec import FREE, decode_s, encode_s
from edgekit.device import Variant
from edgekit.errors import PlanError
from edgekit.graph import Graph
from edgekit.losses import Losses
from edgekit.plan import CLIENT, Cost, Load, Memory, Plan, Term, Transfer, validate, wired
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.quantity import Badge, least
from edgekit.ring import ring_bytes
from partitioner.board_memory import board_bytes
from partitioner.footprints import Footprints

__all__ = ["idle_w", "known_profiles", "meeting", "price", "price_valid", "profile_in"]

_Ends = tuple[int | Literal["client"], int | Literal["client"]]

_Used = list[dict[str, Profile]]
"""For each stage the profiles of its devices in its variant."""


class _Hop(NamedTuple):
    """A message between two devices, as it travels and as it is held, and the share of all frames for which it is sent."""

    source: str
    receiver: str
    nbytes: int
    held_bytes: int
    share: float
    link: Link | None

    @property
    def seconds(self) -> float:
        return self.link.transfer_s(self.nbytes) if self.link else 0.0


class _Coding(NamedTuple):
    """Seconds that a device of a stage spends on reading and on writing codecs."""

    decode_s: float
    encode_s: float


def price(
    plan: Plan, graph: Graph, cluster: Cluster, profiles: Profiles, *, interval_s: float | None = None, losses: Losses | None = None
) -> Cost:
    """The predicted cost of any valid plan: split, replicated, with direct transfers, visiting devices twice.

    Frame i of a stage on r devices goes to device i mod r. The latency of a frame alone is then that of the worst
    replicas: each compute, codec and message counts with the largest value over the devices that it may meet.
    Messages add up also where a direct one could overtake a relayed one, so the latency is a bound there. Between
    stages of one device nothing travels over a network, unless a link from that device to itself is described.

    Args:
        profiles: of this graph, in the variants of the stages.
        interval_s: seconds between two frames that come in, for energy at rest; None: as fast as the pipeline takes them.
        losses: what codecs lose; without them the loss of a plan that has some is not known.

    Raises:
        PlanError: the plan does not fit the graph, a device has no profile in that variant, cannot run one of its
            units, or has none of its codecs, or two devices that have to talk have no link.
    """
    plan = validate(plan, graph)
    graph = graph.in_order(plan.order)
    return price_valid(plan, graph, cluster, profiles, Footprints(graph), interval_s=interval_s, losses=losses)


def price_valid(
    plan: Plan,
    graph: Graph,
    cluster: Cluster,
    profiles: Profiles,
    footprints: Footprints,
    *,
    interval_s: float | None = None,
    losses: Losses | None = None,
) -> Cost:
    """As ``price``, for a valid plan whose transfers are filled in, with the graph and its footprints in its order."""
    used = [{name: profile_in(name, graph, profiles, stage.variant) for name in stage.devices} for stage in plan.stages]
    messages = {ends: _hops(plan, graph, ends, sent, cluster) for ends, sent in plan.messages().items()}
    timed = [{name: profile.in_order(plan.order) for name, profile in stage.items()} for stage in used]
    _require_able(plan, timed)
    coding = [{name: _coding(plan, graph, index, profile) for name, profile in stage.items()} for index, stage in enumerate(used)]
    terms = _terms(plan, messages, timed, coding)
    loads = _loads(plan, messages, timed, coding)
    memory = _memory(plan, messages, cluster, used, footprints)
    period_s = max(load.seconds for load in loads)
    return Cost(
        latency_s=sum(term.seconds for term in terms),
        period_s=period_s,
        peak_memory_bytes=max(each.nbytes for each in memory if each.kind != "flash"),
        terms=terms,
        loads=loads,
        memory=memory,
        badge=least(term.badge for term in terms),
        emulated=any(profile.emulated for stage in used for profile in stage.values()),
        energy_j=_energy(plan, cluster, profiles, timed, coding, period_s if interval_s is None else interval_s),
        accuracy_loss=_loss(plan, used, losses),
        device_count=len(plan.devices),
    )


def known_profiles(name: str, graph: Graph, profiles: Profiles) -> tuple[Profile, ...]:
    """The profiles of a device, checked to be of this graph."""
    found = profiles.of(name)
    if not found:
        raise PlanError(f"no profile of {name}, only of {', '.join(profiles.devices) or 'nothing'}; profile {graph.name} on {name} first")
    for profile in found:
        if profile.graph != graph.digest or profile.unit_count != len(graph.units):
            raise PlanError(
                f"the profile of {name} is of graph {profile.graph[:12]}, expected {graph.digest[:12]} ({graph.name}); profile it"
            )
    return found


def profile_in(name: str, graph: Graph, profiles: Profiles, variant: Variant) -> Profile:
    """The profile of a device in a variant, checked to be of this graph."""
    found = known_profiles(name, graph, profiles)
    if any(profile.variant == variant for profile in found):
        return profiles.of(name, variant)
    taken = " and ".join(str(profile.variant) for profile in found)
    raise PlanError(f"a stage on {name} runs as {variant}, its profile was taken as {taken}; make them the same")


def idle_w(host: str, cluster: Cluster, profiles: Profiles) -> float | None:
    """What a machine takes at rest, as the meter of one of its devices saw it; None where none has one."""
    of_host = (profile for d in cluster.devices if d.machine == host for profile in profiles.of(d.name))
    watts = [profile.energy.idle_w for profile in of_host if profile.energy is not None]
    return max((each for each in watts if each is not None), default=None)


def _require_able(plan: Plan, used: _Used) -> None:
    """Refuse a stage with a unit that the engine of its device cannot run."""
    for stage, by_name in zip(plan.stages, used, strict=True):
        for name, profile in by_name.items():
            if profile.cannot_run and (reason := profile.refusal(stage.start, stage.stop)):
                span = f"units [{stage.start}, {stage.stop})"
                raise PlanError(f"{span} cannot run on {name} as {stage.variant}: {reason}; give that unit to another device")


def _hops(plan: Plan, graph: Graph, ends: _Ends, sent: tuple[Transfer, ...], cluster: Cluster) -> list[_Hop]:
    """The messages between the replicas of two ends that meet."""
    sources, receivers = ((cluster.client,) if end == CLIENT else plan.stages[end].devices for end in ends)
    pairs, share = meeting(len(sources), len(receivers))
    nbytes, held = sum(tensor.nbytes for tensor in wired(graph, sent)), sum(graph.tensor(each.tensor).nbytes for each in sent)
    return [_Hop(sources[a], receivers[b], nbytes, held, share, cluster.channel(sources[a], receivers[b])) for a, b in pairs]


def _coding(plan: Plan, graph: Graph, index: int, profile: Profile) -> _Coding:
    """What a device of a stage spends on codecs: it reads all that comes, and writes each tensor in each codec once."""

    def seconds(way: Callable[..., float | None], transfers: Iterable[Transfer]) -> float:
        total = 0.0
        for transfer in transfers:
            took = way(profile.codecs, transfer.codec, graph.tensor(transfer.tensor).nbytes)
            if took is None:
                raise PlanError(
                    f"what {transfer.codec} takes on {profile.device} is not known; run edgekit profile --codecs, or send it raw"
                )
            total += took
        return total

    written = {(each.tensor, each.codec): each for each in plan.transfers if each.source == index}
    return _Coding(seconds(decode_s, (each for each in plan.transfers if each.receiver == index)), seconds(encode_s, written.values()))


def _loss(plan: Plan, used: _Used, losses: Losses | None) -> float | None:
    """The sum of what each tensor, and each stage in the precision of a twin, loses alone; None: not known of one."""
    total = 0.0
    for stage, by_name in zip(plan.stages, used, strict=True):
        if any(profile.twin for profile in by_name.values()):
            lost = losses.of_stage(stage.start, stage.stop, stage.variant.precision) if losses else None
            if lost is None:
                return None
            total += lost
    for sent in plan.messages().values():
        coded = [transfer for transfer in sent if transfer.codec not in FREE]
        each = [losses.of(transfer.tensor, transfer.codec) if losses else None for transfer in coded]
        known = [loss for loss in each if loss is not None]
        if len(known) < len(each):
            return None
        total += sum(known)
    return total


def meeting(sources: int, receivers: int) -> tuple[list[tuple[int, int]], float]:
    """Pairs of replicas that share frames, and which share of all frames each has: i ≡ a (mod r) and i ≡ b (mod s).

    >>> meeting(2, 4)  # frames 0, 1, 2 and 3
    ([(0, 0), (0, 2), (1, 1), (1, 3)], 0.25)
    """
    step = gcd(sources, receivers)
    return [(a, b) for a in range(sources) for b in range(receivers) if (a - b) % step == 0], 1 / lcm(sources, receivers)


def _terms(plan: Plan, messages: Mapping[_Ends, list[_Hop]], used: _Used, coding: list[dict[str, _Coding]]) -> tuple[Term, ...]:
    """The summands of a frame's latency, in the order in which it passes them."""
    terms: dict[str, Term] = {}
    for end in (*range(len(plan.stages)), CLIENT):
        for hop in (max(hops, key=lambda hop: hop.seconds) for ends, hops in messages.items() if ends[1] == end):
            name = f"transfer {hop.source}→{hop.receiver}"
            badge: Badge = hop.link.badge if hop.link else "estimated"
            before = terms.get(name, Term(name, 0.0, badge))  # a path that is taken twice is one term
            terms[name] = Term(name, before.seconds + hop.seconds, least((before.badge, badge)))
        if end != CLIENT:
            stage = plan.stages[end]
            times = {device: profile.rested.compute_s(stage.start, stage.stop) for device, profile in used[end].items()}
            lines = {device: profile.line_s(stage.start, stage.stop) for device, profile in used[end].items()}
            worst = max(times, key=lambda device: times[device][0] + lines[device])
            codecs_s = max(each.decode_s for each in coding[end].values()) + max(each.encode_s for each in coding[end].values())
            badge = least((*(badge for _, badge in times.values()), "estimated" if codecs_s else "measured"))
            if used[end][worst].line:
                terms[f"line {end}@{worst}"] = Term(f"line {end}@{worst}", lines[worst], "measured")
            terms[f"compute {end}@{worst}"] = Term(f"compute {end}@{worst}", times[worst][0] + codecs_s, badge)
    return tuple(terms.values())


def _loads(plan: Plan, messages: Mapping[_Ends, list[_Hop]], used: _Used, coding: list[dict[str, _Coding]]) -> tuple[Load, ...]:
    """Seconds per frame for which each device, link and medium is busy; latency does not occupy a link."""
    busy: defaultdict[str, float] = defaultdict(float)
    for index, stage in enumerate(plan.stages):
        for name, profile in used[index].items():
            ends = stage.start, stage.stop
            busy[f"device {name}"] += (profile.line_s(*ends) + profile.compute_s(*ends)[0] + sum(coding[index][name])) / len(stage.devices)
    for (source, receiver), hop in ((ends, hop) for ends, hops in messages.items() for hop in hops):
        if hop.link is None:
            continue
        carried_s = occupied_s = hop.nbytes / hop.link.bytes_per_s
        sending, receiving = (source, hop.source, hop.link.send_s(hop.nbytes)), (receiver, hop.receiver, hop.link.receive_s(hop.nbytes))
        for end, name, seconds in (sending, receiving):
            if end != CLIENT and not used[end][name].crowded:
                occupied_s = max(occupied_s, seconds)
            elif seconds:  # the client appears where its processor has a part
                busy[f"device {name}"] += seconds * hop.share
        busy[f"link {hop.source}→{hop.receiver}"] += occupied_s * hop.share
        for medium in dict.fromkeys(hop.link.media):
            busy[f"medium {medium}"] += carried_s * hop.share
    return tuple(Load(resource, seconds) for resource, seconds in busy.items())


def _memory(plan: Plan, messages: Mapping[_Ends, list[_Hop]], cluster: Cluster, used: _Used, footprints: Footprints) -> tuple[Memory, ...]:
    """Peak bytes of each host, and of each board: all stages are resident at once, those on hosts with their buffers."""
    hosts: defaultdict[str, int] = defaultdict(int)
    boards: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for index, stage in enumerate(plan.stages):
        buffers = _buffers(plan, messages, index)
        for name, profile in used[index].items():
            device = cluster.device(name)
            hosts[device.machine] += footprints.stage_bytes(profile, stage.start, stage.stop) + buffers
            row = profile.in_order(plan.order).planned(stage.start, stage.stop) if profile.on_board else None
            if row is not None:
                boards[name] = [sum(pair) for pair in zip(boards[name], board_bytes(row, device), strict=True)]
    on_boards = [(Memory(name, ram, "ram"), Memory(name, flash, "flash")) for name, (ram, flash) in boards.items()]
    return (*(Memory(host, nbytes) for host, nbytes in hosts.items()), *(each for both in on_boards for each in both))


def _buffers(plan: Plan, messages: Mapping[_Ends, list[_Hop]], index: int) -> int:
    """Bytes of the rings of one replica of a stage: it has one for each replica of a neighbour, whether they meet or not."""
    total = 0
    for (source, receiver), hops in messages.items():
        for end, other in ((source, receiver), (receiver, source)):
            if end == index:
                total += ring_bytes(hops[0].held_bytes) * (1 if other == CLIENT else len(plan.stages[other].devices))
    return total


def _energy(
    plan: Plan, cluster: Cluster, profiles: Profiles, used: _Used, coding: list[dict[str, _Coding]], interval_s: float
) -> float | None:
    """Each frame is worked on by one device of each stage, and each machine in use is paid for at rest once."""
    joules = [
        profile.active_w * (profile.compute_s(stage.start, stage.stop)[0] + sum(spent[name])) / len(stage.devices)
        if profile.active_w is not None
        else None
        for stage, by_name, spent in zip(plan.stages, used, coding, strict=True)
        for name, profile in by_name.items()
    ]
    watts = [idle_w(host, cluster, profiles) for host in dict.fromkeys(cluster.device(name).machine for name in plan.devices)]
    known = [each for each in joules if each is not None]
    rest = [each for each in watts if each is not None]
    return sum(known) + sum(rest) * interval_s if len(known) == len(joules) and len(rest) == len(watts) else None
