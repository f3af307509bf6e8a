"""Search by kernels, decide by segments: solve, measure what ends on the front, solve again.

estimates ──solve──▶ front ──measure its segments──▶ solve … until all of the front is measured
                       ▲                                       │
                       └── measure what would be on it ◀───────┘ with estimates as low as they may be
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack

from devices import Connection, scheme_of
from edgekit.cluster import Cluster
from edgekit.deploy.serve.connections import connect_all
from edgekit.device import Device, Variant
from edgekit.front import Front
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.progress import Tell, at_once, prefixed
from profilers.measure.measured_conditions import require_valid
from profilers.measure.segments import Range, measure_segments

__all__ = ["measure_front"]

Keep = Callable[[Profile], None]
Order = tuple[int, ...]
Missing = dict[str, dict[tuple[Variant, Order], list[Range]]]
"""For each device, in each variant and each order of the units that plans count them in, what has not been measured."""

Known = dict[tuple[str, Variant], Profile]
"""By device and variant."""


def measure_front(
    graph: Graph,
    model: Model,
    cluster: Cluster,
    profiles: Profiles,
    search: Callable[[Profiles], Front],
    doubt_s: float,
    tell: Tell,
    keep: Keep,
    *,
    most_s: float = float("inf"),
) -> tuple[Front, Profiles]:
    """The front with every segment on it measured, and the profiles behind it. ``search`` finds the front of profiles.

    For ``doubt_s`` more it measures segments that would end on the front if they were as quick as estimates have
    turned out to be wrong: optimism finds what a pessimistic estimate hides. After ``most_s`` each segment is measured only once.

    Raises:
        DeviceError: a device is not what it was when it was profiled, or was lost; what was measured has been kept.
    """
    known = {(profile.device, profile.variant): profile for profile in profiles}

    def solved() -> Front:
        tell("searching for the front")
        return search(Profiles(tuple(known.values())))

    def hopeful() -> Front:
        return search(Profiles(tuple(profile.optimistic() for profile in known.values())))

    with ExitStack() as stack:
        bench = _Bench(graph, model, cluster, known, stack, tell, keep)
        front, end = solved(), time.monotonic() + most_s
        while missing := _unmeasured(front, known):  # ends: a round measures what no round before it has
            bench.measure(missing, max(end - time.monotonic(), 0.0))
            front = solved()
        end = time.monotonic() + doubt_s
        while (left_s := end - time.monotonic()) > 0 and (missing := _unmeasured(hopeful(), known)):
            bench.measure(missing, left_s)
            front = solved()
            if missing := _unmeasured(front, known):
                bench.measure(missing)
                front = solved()
    return front, Profiles(tuple(known.values()))


class _Bench:
    """The devices to measure on, connected to when there is something to measure; each machine is measured by a thread."""

    def __init__(self, graph: Graph, model: Model, cluster: Cluster, profiles: Known, stack: ExitStack, tell: Tell, keep: Keep):
        self._graph, self._model, self._cluster = graph, model, cluster
        self._profiles, self._stack, self._tell, self._keep = profiles, stack, tell, keep
        self._connections: dict[str, Connection] = {}
        self._told: dict[tuple[str, Variant, Order], Tell] = {}
        self._passes = 0

    def measure(self, missing: Missing, most_s: float = float("inf")) -> None:
        """Add segments to the profiles."""
        self._connect(missing)
        self._passes += 1
        counts = {(name, *key): len(ranges) for name, each in missing.items() for key, ranges in each.items()}
        parts = at_once(prefixed(self._tell, f"pass {self._passes}"), tuple(counts.values()))
        self._told = dict(zip(counts, parts, strict=True))
        by_machine: dict[str, list[str]] = defaultdict(list)
        for name in missing:
            by_machine[_machine(self._cluster.device(name))].append(name)
        errors: list[BaseException] = []

        def work(names: list[str]) -> None:
            try:
                for name in names:
                    self._measure(name, missing[name], most_s / len(names))
            except BaseException as error:  # raised again where the threads are waited for
                errors.append(error)

        threads = [threading.Thread(target=work, args=(names,), name="measuring", daemon=True) for names in by_machine.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _measure(self, name: str, missing: dict[tuple[Variant, Order], list[Range]], most_s: float) -> None:
        for (variant, order), ranges in missing.items():
            self._measure_in(order, name, variant, ranges, most_s / len(missing))

    def _measure_in(self, order: Order, name: str, variant: Variant, ranges: list[Range], most_s: float) -> None:
        before = self._profiles[name, variant]

        def keep(profile: Profile) -> None:
            self._profiles[name, variant] = before.with_segments(profile, order)
            self._keep(self._profiles[name, variant])

        graph, profile = self._graph.in_order(order), before.in_order(order)
        tell = prefixed(self._told[name, variant, order], name)
        measure_segments(graph, self._model, self._connections[name], profile, ranges, most_s=most_s, tell=tell, keep=keep)

    def _connect(self, missing: Missing) -> None:
        wanted = [device for device in self._cluster.devices if device.name in missing and device.name not in self._connections]
        opened = connect_all(wanted, self._stack, purpose="measurements")
        for name, connection in opened.items():
            for key, profile in self._profiles.items():
                if key[0] == name:
                    require_valid(profile, connection)
        self._connections |= opened


def _machine(device: Device) -> str:
    """All ``local:`` devices are one machine, whatever they play."""
    return "local:" if scheme_of(device).here else device.machine


def _unmeasured(front: Front, profiles: Known) -> Missing:
    stages = [(plan.order, stage) for plan in front.plans for stage in plan.stages]
    used = {(name, stage.variant, order, stage.start, stage.stop) for order, stage in stages for name in stage.devices}
    views = {(name, variant, order): profiles[name, variant].in_order(order) for name, variant, order, _, _ in used}
    missing: Missing = {}
    for name, variant, order, start, stop in sorted(used, key=lambda each: (each[0], str(each[1]), *each[2:])):
        if views[name, variant, order].segment(start, stop) is None:
            missing.setdefault(name, {}).setdefault((variant, order), []).append((start, stop))
    return missing
