"""Random networks, clusters and profiles made from nouns alone, and the slow, obvious way to price and screen every plan."""

from itertools import combinations, pairwise, product
from random import Random

import numpy as np
from msgspec import structs

from edgekit.cluster import Cluster, Link
from edgekit.codec import CODECS, STRAIGHT, CodecTime
from edgekit.conditions import Conditions
from edgekit.constraints import Constraints, Pin, Private
from edgekit.device import Device, Variant
from edgekit.energy import Energy
from edgekit.errors import PlanError
from edgekit.front import value
from edgekit.graph import Graph, Held, Node, Tensor, Twin, Unit
from edgekit.losses import Losses, StageLoss, TensorLoss
from edgekit.objectives import Objective
from edgekit.plan import Plan, Stage, chain, ranged
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.profiles import Profiles
from edgekit.range import Range
from edgekit.ring import ring_bytes
from partitioner.cost import price

TELLING: tuple[Objective, ...] = ("latency", "period", "memory")
"""What every profile tells."""

CONDITIONS = Conditions("box", "cpu", ("onnxruntime 1.20",), 99, False, 1.0)


def graph_of(units, tensors, weights=(), inputs=("x",), outputs=("y",), name="net"):
    """A graph from one tuple of nodes per unit, and {tensor: elements of float32, or (shape, dtype)}."""
    described = tuple(Tensor(t, *(size if isinstance(size, tuple) else ((size,), "float32"))) for t, size in dict(tensors).items())
    nodes = tuple(node for unit in units for node in unit)
    stops = np.cumsum([len(unit) for unit in units]).tolist()
    spans = tuple(Unit(stop - len(unit), stop) for unit, stop in zip(units, stops, strict=True))
    heavy = tuple(Tensor(w, (size,), "float32") for w, size in dict(weights).items())
    return Graph(name, f"digest-of-{name}", nodes, spans, described, heavy, tuple(inputs), tuple(outputs))


def straight(elements, weights=None):
    """x ─▶ unit 0 ─▶ unit 1 ─▶ … ─▶ y; ``elements`` of float32 at each cut, both ends included."""
    count = len(elements) - 1
    names = ["x", *(f"t{i}" for i in range(1, count)), "y"]
    units = [[Node(f"n{i}", "Op", (names[i], f"w{i}"), (names[i + 1],))] for i in range(count)]
    return graph_of(units, zip(names, elements, strict=True), {f"w{i}": n for i, n in enumerate(weights or [0] * count)})


def profile_of(graph, device, seconds, base=0, measured=(), variant=None, emulated=False):
    """A profile with ``seconds`` for each unit; ``measured`` holds (start, stop, seconds, memory or None) beside the whole."""
    count = len(graph.units)
    measured = {(start, stop): (s, memory) for start, stop, s, memory in ((0, count, sum(seconds), None), *measured)}
    return Profile(
        graph.digest,
        device,
        count,
        variant or Variant(),
        CONDITIONS,
        tuple(Kernel(f"k{i}", "Op", s, (i,)) for i, s in enumerate(seconds)),
        tuple(SegmentTime(start, stop, s, s, s, 0.0, 9, memory) for (start, stop), (s, memory) in measured.items()),
        base_bytes=base,
        emulated=emulated,
    )


class Dice(Random):
    """Random values; in steps of powers of two where sums have to be exact, so that ties are ties."""

    def __init__(self, seed, exact=True):
        super().__init__(seed)
        self.exact = exact

    def amount(self, most, step):
        return self.randint(0, most) * step if self.exact else self.uniform(0.01, most) * step


def random_graph(dice, most=8):
    """Units that read one or two earlier tensors; some share weights, read constants, start afresh or make what cannot travel."""
    count = max(dice.randint(1, most), dice.randint(1, most))
    made, units, tensors = ["x"], [], {"x": dice.randint(0, 64)}
    weights = {f"w{i}": dice.randint(0, 256) for i in range(4)}
    for i in range(count):
        reads = {made[-1]} if dice.random() < 0.8 else {dice.choice(made)}
        reads |= {dice.choice(made)} if dice.random() < 0.4 else set()
        reads = set() if i and dice.random() < 0.05 else reads
        used = set(dice.sample(sorted(weights), dice.randint(0, 2)))
        nodes = []
        if dice.random() < 0.2:
            tensors[f"c{i}"] = 4
            nodes.append(Node(f"const{i}", "Cast", (dice.choice(sorted(weights)),), (f"c{i}",), constant=True))
            used.add(f"c{i}")
        odd = dice.random()
        size = dice.randint(0, 64)
        tensors[f"t{i}"] = ((size,), "string") if odd < 0.05 else (None, "float32") if odd < 0.08 else size
        nodes.append(Node(f"n{i}", "Op", (*sorted(reads), *sorted(used)), (f"t{i}",)))
        made.append(f"t{i}")
        units.append(nodes)
    outputs = {made[-1]} | ({dice.choice(made)} if dice.random() < 0.2 else set())
    return graph_of(units, tensors, weights, outputs=sorted(outputs), name=f"net{count}")


def random_cluster(dice, graph, most=4):
    """Devices that may be twins, share a host, a cap or a medium, or miss a link; and their profiles, one perhaps missing."""
    names = [f"d{i}" for i in range(max(dice.randint(1, most), dice.randint(1, most)))]
    hosts = [dice.choice([None, None, "box", "rack"]) for _ in names]
    scale = 4 * sum(weight.nbytes for weight in graph.weights) + 4096
    rings = ring_bytes(max(cut.nbytes for cut in graph.cuts))
    devices = tuple(
        Device(name, host=host, memory_bytes=rings + dice.randint(scale // 16, scale) if dice.random() < 0.3 else None)
        for name, host in zip(names, hosts, strict=True)
    )
    cluster = Cluster(devices, tuple(_random_links(dice, names)))
    profiles = {}
    for name in names:
        twin = dice.choice(list(profiles)) if profiles and dice.random() < 0.4 else None
        profiles[name] = _renamed(profiles[twin], name) if twin else _random_profile(dice, graph, name)
    if len(names) > 1 and dice.random() < 0.1:
        del profiles[dice.choice(names)]
    order = names[:]
    dice.shuffle(order)
    return cluster, Profiles(tuple(profiles.values())), tuple(order)


def random_instance(seed, exact=True, units=8, devices=4):
    """(graph, cluster, profiles, order)."""
    dice = Dice(seed, exact)
    graph = random_graph(dice, units)
    return (graph, *random_cluster(dice, graph, devices))


def large_instance(units, devices, seed=0, medium=False):
    """A network like a real one (activations shrink, weights grow, some skips) on devices of different speed."""
    dice = Dice(seed, exact=False)
    made, nodes, tensors, weights = ["x"], [], {"x": 150528}, {}
    for i in range(units):
        reads = (made[-1], made[-3]) if i % 4 == 3 else (made[-1],)
        tensors[f"t{i}"] = int(2 ** (19 - 6 * i / units) * dice.uniform(0.3, 2))
        weights[f"w{i}"] = int(2 ** (11 + 9 * i / units) * dice.uniform(0.3, 2))
        nodes.append([Node(f"n{i}", "Conv", (*reads, f"w{i}"), (f"t{i}",))])
        made.append(f"t{i}")
    graph = graph_of(nodes, tensors, weights, outputs=(made[-1],), name=f"large{units}")
    names = [f"d{i}" for i in range(devices)]
    seconds = [dice.uniform(0.5, 4) * 1e-3 for _ in range(units)]
    speeds = [dice.uniform(0.5, 2) for _ in names]
    found = [
        profile_of(graph, n, [s * v * dice.uniform(0.8, 1.25) for s in seconds], 30_000_000) for n, v in zip(names, speeds, strict=True)
    ]
    media = ("wifi",) if medium else ()
    ends = ["client", *names]
    links = (Link(a, b, 1e-3, dice.uniform(2e6, 1.2e8), 1e-9, 1e-9, 5e-5, 5e-5, media) for a in ends for b in ends if a != b)
    return graph, Cluster(tuple(Device(name) for name in names), tuple(links)), Profiles(tuple(found)), names


def _random_links(dice, names):
    kind, media = dice.random(), dice.choice([(), (), ("wifi",), ("wifi", "nic")])
    busy, tolled = dice.random() < 0.5, dice.random() < 0.5

    def link(source, receiver):
        return Link(
            source,
            receiver,
            latency_s=dice.amount(4, 2**-8),
            bytes_per_s=2.0 ** dice.randint(8, 16) if dice.exact else dice.uniform(500, 50000),
            send_s_per_byte=dice.amount(4, 2**-14) if busy else 0.0,
            receive_s_per_byte=dice.amount(4, 2**-14) if busy else 0.0,
            send_s_per_message=dice.amount(4, 2**-9) if tolled else 0.0,
            receive_s_per_message=dice.amount(4, 2**-9) if tolled else 0.0,
            media=tuple(medium for medium in media if dice.random() < 0.7),
        )

    if kind < 0.2:
        return [link("*", "*")]
    ends = ["client", *names]
    present = 0.8 if kind < 0.6 else 1.0
    return [link(a, b) for a in ends for b in ends if (a != b or dice.random() < 0.1) and dice.random() < present]


def _random_profile(dice, graph, name):
    count = len(graph.units)
    seconds = [dice.amount(16, 2**-8) for _ in range(count)]
    spans = {tuple(sorted(dice.sample(range(count + 1), 2))) for _ in range(dice.randint(0, 4))}
    measured = [(*span, dice.amount(32, 2**-8), dice.choice([None, dice.randint(0, 8192)])) for span in sorted(spans)]
    if sum(seconds) != sum(s for start, stop, s, _ in measured if (start, stop) == (0, count)):
        measured = [m for m in measured if m[:2] != (0, count)]  # unit times are scaled to the whole; keep them exact
    variant = Variant(threads=dice.choice([1, 1, 1, 2]))
    profile = profile_of(graph, name, seconds, dice.randint(0, 1024), measured, variant)
    profile = structs.replace(profile, conditions=structs.replace(CONDITIONS, core_count=dice.choice([None, 2])))
    return _after_pauses(dice, profile) if dice.random() < 0.5 else profile


def _after_pauses(dice, profile):
    """Segments that take longer after a pause; the whole twice as long, which its units follow exactly."""
    times = dice.choice([1, 2])
    segments = (
        structs.replace(each, rested_s=times * each.p50_s if each == profile.whole else each.p50_s + dice.amount(8, 2**-8))
        for each in profile.segments
    )
    return structs.replace(profile, segments=tuple(segments))


def _renamed(profile, name):
    return structs.replace(profile, device=name)


def enriched(seed, graph, profiles, energy=True, variants=True):
    """Profiles with joules, in steps like those of the seconds, and some devices in two variants to choose from."""
    dice = Dice(seed)
    found = []
    for name, profile in ((profile.device, profile) for profile in profiles):
        several = [profile]
        if variants and dice.random() < 0.5:
            other = Variant(threads=4 if profile.variant.threads != 4 else 1)
            several.append(structs.replace(_random_profile(dice, graph, name), variant=other))
        idle_w = dice.choice([0.0, 0.5, 1.0])
        if energy:
            several = [structs.replace(each, energy=_energy(dice, each, idle_w)) for each in several]
        found += several
    return Profiles(tuple(found))


def _energy(dice, profile, idle_w):
    joules = profile.whole.p50_s * 2.0 ** dice.randint(-2, 2)
    return Energy("rapl", ("package",), 1.0, 9, 1.0, joules + idle_w, joules, idle_w, 1)


def coded(seed, graph, profiles):
    """Losses of most tensors in most codecs, and profiles of devices of which some know no codec, or one only."""
    dice = Dice(seed)
    each = [(tensor.name, codec) for tensor in graph.tensors for codec in CODECS[1:] if dice.random() < 0.85]
    ranges = tuple(Range(tensor.name, 0, ((1.0, 0),)) for tensor in graph.tensors)
    losses = Losses(graph.digest, "rms", 9, tuple(TensorLoss(*which, dice.randint(0, 8) * 2**-6) for which in each), ranges=ranges)

    def times():
        return tuple(CodecTime(codec, *(dice.amount(4, 2**-k) for k in (9, 16, 9, 16))) for codec in CODECS[1:] if dice.random() < 0.9)

    found = Profiles(tuple(structs.replace(one, codecs=times()) for one in profiles))
    return losses, found


def twinned(seed, graph, losses, profiles):
    """The graph with a twin in int8 that can be cut at some positions, what most of its units lose, and devices of which some run it."""
    dice = Dice(seed)
    cuts = tuple(position for position in graph.candidates if dice.random() < 0.7)
    spans = [span for span in pairwise((0, *cuts, len(graph.units))) if dice.random() < 0.9]
    stages = tuple(StageLoss(*span, "int8", dice.randint(0, 8) * 2**-6) for span in spans)
    found = []
    for name in profiles.devices:
        own = profiles.of(name)
        other = structs.replace(
            _random_profile(dice, graph, name), variant=Variant("int8"), twin="twin", codecs=own[0].codecs, energy=own[0].energy
        )
        found += (*own, other) if dice.random() < 0.7 else own
    held = tuple(Held(tensor.name, dice.choice(STRAIGHT), 1.0, 0) for tensor in graph.tensors if dice.random() < 0.7)
    return structs.replace(graph, twins=(Twin("int8", "twin", cuts, held),)), structs.replace(losses, stages=stages), Profiles(tuple(found))


def random_constraints(seed, graph, names):
    """Up to three of pins, private inputs, forbidden and required devices, and a number of stages."""
    dice = Random(seed)
    pick, pins, private, forbidden, required, stages = dice.random, [], [], [], [], None
    if pick() < 0.5:
        start = dice.randrange(len(graph.units))
        pins.append(Pin(start, dice.randint(start + 1, len(graph.units)), dice.choice(names)))
    if pick() < 0.3:
        private.append(Private(dice.choice([*graph.inputs, graph.tensors[1].name]), dice.choice(names)))
    if pick() < 0.3:
        forbidden.append(dice.choice(names))
    if pick() < 0.4:
        required += [name for name in names if dice.random() < 0.4 and name not in forbidden]
    if pick() < 0.4:
        stages = dice.randint(1, 3)
    together = [tuple(dice.sample(range(len(graph.units)), min(2, len(graph.units))))] if pick() < 0.3 else []
    return Constraints((), tuple(pins), tuple(private), tuple(together), tuple(forbidden), tuple(required), stages)


def teams_of(names, profiles, most):
    """Every set of up to ``most`` devices that share a variant, with that variant."""
    for size in range(1, most + 1):
        for chosen in combinations(names, size):
            shared = set.intersection(*({profile.variant for profile in profiles.of(name)} for name in chosen))
            yield from ((chosen, variant) for variant in sorted(shared, key=str))


def every_plan(graph, cluster, profiles, order, free=False, team=1, losses=None):
    """All relayed chains over devices in order or in any, and all whole-network replicas, each priced; what has no price is left out."""
    order = [device.name for device in cluster.devices] if free else order  # that in which those of a team take turns
    plans = every_chain(graph, profiles, order, free, team)
    if losses is not None:
        used = (*CODECS, *dict.fromkeys(held.dtype for twin in graph.twins for held in twin.held))
        plans = [chain(graph, p.stages, codecs=codecs) for p in plans for codecs in product(used, repeat=len(p.stages) - 1)]
        plans = [ranged(plan, losses.ranges) for plan in plans]
    priced = ((plan, _cost(plan, graph, cluster, profiles, losses)) for plan in plans)
    return [(plan, cost) for plan, cost in priced if cost and _fits(cost, cluster)]


def every_chain(graph, profiles, order, free=False, team=1):
    """The plans, whatever they cost."""
    names = [name for name in order if profiles.of(name)]
    rank = {name: i for i, name in enumerate(names)}
    crews = list(teams_of(names, profiles, team))
    last, plans = len(graph.units), []

    def grow(stages, position):
        if position == last:
            plans.append(stages)
            return
        used = {name for stage in stages for name in stage.devices}
        for crew, variant in crews:
            after = not used & set(crew) if free else not used or min(map(rank.get, crew)) > max(map(rank.get, used))
            for stop in (*(cut for cut in graph.candidates if cut > position), last) if after else ():
                grow((*stages, Stage(position, stop, crew, variant)), stop)

    grow((), 0)
    plans += [(Stage(0, last, crew, variant),) for crew, variant in teams_of(names, profiles, len(names)) if len(crew) > max(team, 1)]
    return [chain(graph, stages) for stages in plans]


def _cost(plan: Plan, graph, cluster, profiles, losses=None):
    try:
        cost = price(plan, graph, cluster, profiles, losses=losses)
    except PlanError as error:
        assert any(words in str(error) for words in ("unreachable", "is not known", "cannot run in int8")), error
        return None
    return None if cost.accuracy_loss is None else cost


def _fits(cost, cluster):
    caps = [(memory.nbytes, d.memory_bytes) for memory in cost.memory for d in cluster.devices if d.machine == memory.host]
    return all(cap is None or nbytes <= cap for nbytes, cap in caps)


def naive_front(points):
    """The distinct points that no other dominates, sorted, by the definition."""
    distinct = sorted(set(points))
    return [p for p in distinct if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in distinct)]


def points_of(costs, objectives):
    return [tuple(value(cost, objective) for objective in objectives) for cost in costs]
