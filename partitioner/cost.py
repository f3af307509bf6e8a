"""What a plan costs, as equations: one frame alone, a frame in a full pipeline, and the memory of each host.

    latency  =  Σ compute  +  Σ messages                      (input and result return are messages too)
    message  =  link latency + bytes / rate                   (all tensors of one source and receiver travel together)
    period   =  the largest load per frame of a device, a directed link, or a medium that links share
    memory   =  of a host: Σ over its stages (the peak of its process, see memory.py, + send and receive buffers)

Every solver and every plan written by hand is priced here.
"""

from collections import defaultdict
from collections.abc import Mapping
from math import gcd, lcm
from typing import Literal, NamedTuple

from edgekit.cluster import Cluster, Link
from edgekit.errors import PlanError
from edgekit.graph import Graph
from edgekit.plan import CLIENT, Cost, Load, Memory, Plan, Stage, Term, validate
from edgekit.profile import Profile
from edgekit.quantity import Badge, least
from partitioner.memory import Footprints

__all__ = ["QUEUE_SLOTS", "known_profile", "price", "price_valid"]

QUEUE_SLOTS = 2
"""Messages that a stage holds at each end: one in use, one under way."""


_Ends = tuple[int | Literal["client"], int | Literal["client"]]


class _Hop(NamedTuple):
    """A message between two devices, and the share of all frames for which it is sent."""

    source: str
    receiver: str
    nbytes: int
    share: float
    link: Link | None

    @property
    def seconds(self) -> float:
        return self.link.transfer_s(self.nbytes) if self.link else 0.0


def price(plan: Plan, graph: Graph, cluster: Cluster, profiles: Mapping[str, Profile]) -> Cost:
    """The predicted cost of any valid plan: split, replicated, with direct transfers, visiting devices twice.

    Frame i of a stage on r devices goes to device i mod r. The latency of a frame alone is then that of the worst
    replicas: each compute and each message counts with the largest value over the devices that it may meet.
    Messages add up also where a direct one could overtake a relayed one, so the latency is a bound there. Between
    stages of one device nothing travels over a network, unless a link from that device to itself is described.

    Args:
        profiles: by device name; of this graph, in the variant of the stages.

    Raises:
        PlanError: the plan does not fit the graph, a device has no profile in that variant, or two devices that
            have to talk have no link.
    """
    plan = validate(plan, graph)
    return price_valid(plan, graph, cluster, profiles, Footprints(graph))


def price_valid(plan: Plan, graph: Graph, cluster: Cluster, profiles: Mapping[str, Profile], footprints: Footprints) -> Cost:
    """As ``price``, for a plan whose transfers are filled in and known to be valid, with the footprints of its graph."""
    for stage in plan.stages:
        for name in stage.devices:
            known_profile(name, graph, profiles, stage)
    messages = {ends: _hops(plan, ends, sum(graph.tensor(n).nbytes for n in names), cluster) for ends, names in plan.messages().items()}
    terms = _terms(plan, messages, profiles)
    loads = _loads(plan, [hop for hops in messages.values() for hop in hops], profiles)
    memory = _memory(plan, messages, cluster, profiles, footprints)
    return Cost(
        latency_s=sum(term.seconds for term in terms),
        period_s=max(load.seconds for load in loads),
        peak_memory_bytes=max(host.nbytes for host in memory),
        terms=terms,
        loads=loads,
        memory=memory,
        badge=least(term.badge for term in terms),
        emulated=any(profiles[name].emulated for name in plan.devices),
    )


def known_profile(name: str, graph: Graph, profiles: Mapping[str, Profile], stage: Stage | None = None) -> Profile:
    """The profile of a device, checked to be of this graph and, where a stage is given, in its variant."""
    if name not in profiles:
        raise PlanError(f"no profile of {name}, only of {', '.join(profiles) or 'nothing'}; profile {graph.name} on {name} first")
    profile = profiles[name]
    if profile.graph != graph.digest or profile.unit_count != len(graph.units):
        raise PlanError(f"the profile of {name} is of graph {profile.graph[:12]}, expected {graph.digest[:12]} ({graph.name}); profile it")
    if stage is not None and stage.variant != profile.variant:
        raise PlanError(f"a stage on {name} runs as {stage.variant}, its profile was taken as {profile.variant}; make them the same")
    return profile


def _hops(plan: Plan, ends: _Ends, nbytes: int, cluster: Cluster) -> list[_Hop]:
    """The pairs of replicas that meet: replica a of r and b of s share a frame where i ≡ a (mod r), i ≡ b (mod s).

    r = 2, s = 4      frame 0 1 2 3      pairs (0,0) (1,1) (0,2) (1,3), each one frame in lcm(2, 4) = 4
    """
    sources, receivers = ((cluster.client,) if end == CLIENT else plan.stages[end].devices for end in ends)
    step, turn = gcd(len(sources), len(receivers)), lcm(len(sources), len(receivers))
    return [
        _Hop(source, receiver, nbytes, 1 / turn, cluster.channel(source, receiver))
        for a, source in enumerate(sources)
        for b, receiver in enumerate(receivers)
        if (a - b) % step == 0
    ]


def _terms(plan: Plan, messages: Mapping[_Ends, list[_Hop]], profiles: Mapping[str, Profile]) -> tuple[Term, ...]:
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
            times = {device: profiles[device].compute_s(stage.start, stage.stop) for device in stage.devices}
            worst = max(times, key=lambda device: times[device][0])
            badge = least(badge for _, badge in times.values())
            terms[f"compute {end}@{worst}"] = Term(f"compute {end}@{worst}", times[worst][0], badge)
    return tuple(terms.values())


def _loads(plan: Plan, hops: list[_Hop], profiles: Mapping[str, Profile]) -> tuple[Load, ...]:
    """Seconds per frame for which each device, link and medium is busy; latency does not occupy a link."""
    busy: defaultdict[str, float] = defaultdict(float)
    for stage in plan.stages:
        for name in stage.devices:
            busy[f"device {name}"] += profiles[name].compute_s(stage.start, stage.stop)[0] / len(stage.devices)
    for hop in hops:
        if hop.link is None:
            continue
        nbytes = hop.nbytes * hop.share
        for name, s_per_byte in ((hop.source, hop.link.send_s_per_byte), (hop.receiver, hop.link.receive_s_per_byte)):
            if s_per_byte:  # the client appears where its processor has a part
                busy[f"device {name}"] += nbytes * s_per_byte
        busy[f"link {hop.source}→{hop.receiver}"] += nbytes / hop.link.bytes_per_s
        for medium in dict.fromkeys(hop.link.media):
            busy[f"medium {medium}"] += nbytes / hop.link.bytes_per_s
    return tuple(Load(resource, seconds) for resource, seconds in busy.items())


def _memory(
    plan: Plan, messages: Mapping[_Ends, list[_Hop]], cluster: Cluster, profiles: Mapping[str, Profile], footprints: Footprints
) -> tuple[Memory, ...]:
    """Peak bytes of each host: all its stages are resident at once, each with its buffers."""
    hosts: defaultdict[str, int] = defaultdict(int)
    for index, stage in enumerate(plan.stages):
        buffers = QUEUE_SLOTS * sum(hops[0].nbytes for ends, hops in messages.items() for end in ends if end == index)
        for name in stage.devices:
            hosts[cluster.device(name).machine] += footprints.stage_bytes(profiles[name], stage.start, stage.stop) + buffers
    return tuple(Memory(host, nbytes) for host, nbytes in hosts.items())
