"""What one graph costs on one device: kernels to search by, segments to decide by."""

from functools import cached_property
from itertools import accumulate
from typing import Annotated

from msgspec import Meta, Struct, structs

from edgekit.codec import CodecTime
from edgekit.conditions import Conditions
from edgekit.device import CPU, SUFFIX, RunsOn, Variant
from edgekit.energy import Energy
from edgekit.errors import UsageError
from edgekit.memory_model import UNSTATED, MemoryModel, MemoryTable, SegmentBytes
from edgekit.quantity import Badge, Bytes, Count, Name, Seconds, least
from edgekit.serial_line import SerialLine
from edgekit.ticks import Ticks
from edgekit.wording import ms

__all__ = ["Kernel", "Profile", "SegmentTime"]

LEAST_RATIOS = 10
USUAL = 0.75
"""Share of a sum of kernels that a segment takes where it takes least (see ``optimistic``)."""


class Kernel(Struct, frozen=True, forbid_unknown_fields=True):
    """One kernel of the optimised graph, with the units whose nodes it claims; spanning when more than one.

    ``shares`` says how its time divides among them, evenly where it is empty. ``provider`` is the execution provider that
    ran it, empty where the device did not tell. A microcontroller counts ``ticks``.
    """

    name: Name
    op: Name
    seconds: Seconds
    units: tuple[Count, ...]
    shares: tuple[float, ...] = ()
    provider: str = ""
    ticks: Ticks | None = None


class SegmentTime(Struct, frozen=True, forbid_unknown_fields=True):
    """Units ``[start, stop)`` measured as one stage, in the stage process that the pipeline uses.

    Attributes:
        memory_bytes: the most that its process took at once, whether loading or running.
        load_peak_bytes, run_peak_bytes: while the model was loaded, and while it ran; None where the device does not tell them apart.
        proportional_bytes: after the run, with what other processes have too (such as libraries) counted in parts.
        load_s, first_s: what comes before the steady state: loading the model, and its first run. Those of the machine
            itself, also where it plays a slower one.
        repeatability: relative difference between the medians of odd and even bursts; None where there is one burst.
        bursts: raw samples, those of each stage process apart.
        build_s: what its engine took to build, once; None where it has none.
        rested_s: median of runs that each came after a pause, as those of a frame alone do; None: none was measured.
        units: which they are, where they are no range in the graph's own order; ``start`` and ``stop`` then only enclose them.
    """

    start: Count
    stop: Count
    p10_s: Seconds
    p50_s: Seconds
    p90_s: Seconds
    mad_s: Seconds
    samples: Annotated[int, Meta(ge=1)]
    memory_bytes: Bytes | None = None
    p99_s: Seconds | None = None
    load_s: Seconds | None = None
    first_s: Seconds | None = None
    repeatability: Seconds | None = None
    bursts: tuple[tuple[Seconds, ...], ...] = ()
    build_s: Seconds | None = None
    load_peak_bytes: Bytes | None = None
    run_peak_bytes: Bytes | None = None
    proportional_bytes: Bytes | None = None
    units: tuple[Count, ...] = ()
    rested_s: Seconds | None = None

    @property
    def members(self) -> tuple[int, ...]:
        """Its units, ascending."""
        return self.units or tuple(range(self.start, self.stop))


class Profile(Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="format", tag="edgekit.profile"):
    """The cost of one graph on one device in one variant.

    Attributes:
        graph: digest of the graph.
        unit_count: units of the graph; the whole is the segment ``[0, unit_count)``.
        kernels: times with onnxruntime's profiler on, so only their proportions are used.
        folded: nodes that left no kernel behind (folded constants, dropped identities).
        coverage: share of optimised nodes that were mapped back to original ones.
        segments: measured with the profiler off; the whole graph is always among them.
        energy: of the whole graph, where it was asked for.
        profiled_s: the whole graph with the profiler on; what it takes longer than the whole is the profiler's doing.
        widened: kernels that compute in fp32 between Casts, because the device has none for the precision of the graph.
        base_bytes: resident memory of a stage process before it loads a model.
        library_bytes: by how much more of its libraries is resident once it has run one.
        estimates_times: by which sums of kernels are multiplied; below 1 for a profile of what is hoped for.
        badge: what the times of its segments are worth; less than measured where the device is only described.
        resident_bytes: of each unit, where they are given and not predicted; those of a segment add up.
        twin: digest of the network in another precision that was measured in the graph's stead.
        codecs: what it takes to write and to read tensors otherwise than they are, where that was measured.
        memory_model: what segments take that were not measured, by the engine; ``resident_bytes`` go before it.
        runs_on: the processor that the engine keeps busy; None: older files, which only tell the provider.
        cannot_run: each unit that the engine cannot run here, with the reason. No segment with one of them was measured.
        line: of a microcontroller, what a frame takes on its serial line. Kernels and segments are what the board counts while it
            computes, without the line, so that the seconds of a stage are the sum of both. None: there is no such line.
    """

    graph: Name
    device: Name
    unit_count: Annotated[int, Meta(ge=1)]
    variant: Variant
    conditions: Conditions
    kernels: tuple[Kernel, ...]
    segments: tuple[SegmentTime, ...]
    folded: Count = 0
    coverage: float = 1.0
    base_bytes: Bytes = 0
    emulated: bool = False
    profiled_s: Seconds | None = None
    energy: Energy | None = None
    estimates_times: float = 1.0
    badge: Badge = "measured"
    library_bytes: Bytes = 0
    widened: Count = 0
    resident_bytes: tuple[Bytes, ...] = ()
    codecs: tuple[CodecTime, ...] = ()
    twin: str = ""
    memory_model: MemoryModel = UNSTATED
    runs_on: RunsOn | None = None
    cannot_run: tuple[tuple[Count, str], ...] = ()
    line: SerialLine | None = None
    version: int = 1

    def __post_init__(self) -> None:
        for kernel in self.kernels:
            if max(kernel.units, default=0) >= self.unit_count:
                raise UsageError(f"kernel {kernel.name} claims units {kernel.units}, the graph has {self.unit_count}; profile it again")
            if kernel.shares and len(kernel.shares) != len(kernel.units):
                raise UsageError(f"kernel {kernel.name} has {len(kernel.shares)} shares of {len(kernel.units)} units; profile it again")
        for unit, _ in self.cannot_run:
            if unit >= self.unit_count:
                raise UsageError(f"unit {unit} is said not to run, the graph has {self.unit_count} units; profile it again")
        planned = self.memory_model.segments if isinstance(self.memory_model, MemoryTable) else ()
        for start, stop in ((each.start, each.stop) for part in (self.segments, planned) for each in part):
            if not start < stop <= self.unit_count:
                raise UsageError(f"units [{start}, {stop}) are no segment of {self.unit_count} units; profile it again")

    @property
    def on_board(self) -> bool:
        """Whether its stages run on a microcontroller, which has memories of its own."""
        return self.runs_on == "mcu"

    @cached_property
    def _planned(self) -> dict[tuple[int, int], SegmentBytes]:
        model = self.memory_model
        return {(each.start, each.stop): each for each in model.segments} if isinstance(model, MemoryTable) else {}

    def planned(self, start: int, stop: int) -> SegmentBytes | None:
        """The row of units ``[start, stop)`` in the memory table; None where there is none."""
        return self._planned.get((start, stop))

    def placed(self, start: int, stop: int) -> bool:
        """Whether the planner of the engine has placed units ``[start, stop)``; every segment, where there is no such table."""
        return not isinstance(self.memory_model, MemoryTable) or (start, stop) in self._planned

    def line_s(self, start: int, stop: int) -> float:
        """Seconds of a frame on the serial line of the stage of units ``[start, stop)``; 0 where it has no such line."""
        row = self.planned(start, stop)
        return self.line.seconds(row.in_bytes, row.out_bytes) if self.line and row else 0.0

    @cached_property
    def _measured(self) -> dict[tuple[int, int], SegmentTime]:
        return {(segment.start, segment.stop): segment for segment in self.ranges}

    @property
    def ranges(self) -> tuple[SegmentTime, ...]:
        """What was measured as a range of units in the order of the graph."""
        return tuple(segment for segment in self.segments if not segment.units)

    def segment(self, start: int, stop: int) -> SegmentTime | None:
        """The measurement of units ``[start, stop)``, if there is one."""
        return self._measured.get((start, stop))

    @property
    def whole(self) -> SegmentTime:
        """The unsplit graph, measured.

        Raises:
            UsageError: the profile lacks it.
        """
        segment = self.segment(0, self.unit_count)
        if segment is None and self.cannot_run:
            raise UsageError(f"{self.variant.by} does not run the whole graph on {self.device}: {self.refusal(0, self.unit_count)}")
        if segment is None:
            raise UsageError(f"the profile of {self.device} lacks the whole graph, units [0, {self.unit_count}); profile it again")
        return segment

    @property
    def longest(self) -> SegmentTime:
        """The unsplit graph, measured; where the engine cannot run all of it, the segment with most units."""
        if not (self.cannot_run and self.segments):
            return self.whole
        return max(self.segments, key=lambda segment: (len(segment.members), segment.p50_s))

    @property
    def extent(self) -> str:
        """What the longest measurement is of, in words."""
        return f"units [{self.longest.start}, {self.longest.stop})" if self.cannot_run else "whole network"

    @property
    def barred(self) -> tuple[str, ...]:
        """What the engine cannot run, each unit in a sentence."""
        return tuple(f"unit {unit} cannot run on {self.device} as {self.variant}: {reason}" for unit, reason in self.cannot_run)

    def refusal(self, start: int, stop: int) -> str:
        """The reason why the engine cannot run units ``[start, stop)`` on this device; empty where it can run them."""
        return next((f"unit {unit}, {reason}" for unit, reason in self.cannot_run if start <= unit < stop), "")

    @property
    def providers(self) -> dict[str, tuple[int, float]]:
        """For each execution provider by its short name: how many kernels it ran, and their seconds with the profiler on."""
        found: dict[str, tuple[int, float]] = {}
        for kernel in self.kernels:
            if kernel.provider:
                name = kernel.provider.removesuffix(SUFFIX)
                count, seconds = found.get(name, (0, 0.0))
                found[name] = (count + 1, seconds + kernel.seconds)
        return found

    @property
    def compute_units(self) -> str:
        """How many kernels each provider ran, as in ``compute units: CPU 52 | CUDA 3``; empty where the device did not tell."""
        counts = " | ".join(f"{name} {count}" for name, (count, _) in sorted(self.providers.items()))
        return f"compute units: {counts}" if counts else ""

    @cached_property
    def unit_s(self) -> tuple[float, ...]:
        """Estimated seconds of each unit: its kernels, scaled so that all add up to the measured whole (times ``estimates_times``).

        Where the engine cannot run the whole, to the largest measured segment that the unit is in.
        """
        seconds = [0.0] * self.unit_count
        for kernel in self.kernels:
            even = (1 / max(1, len(kernel.units)),) * len(kernel.units)
            for unit, share in zip(kernel.units, kernel.shares or even, strict=True):
                seconds[unit] += kernel.seconds * share
        if not self.cannot_run:
            return _scaled(seconds, self.whole.p50_s * self.estimates_times)
        found = [0.0] * self.unit_count
        for segment in sorted(self.segments, key=lambda each: len(each.members)):  # the largest that holds a unit counts
            members = segment.members
            scaled = _scaled([seconds[unit] for unit in members], segment.p50_s * self.estimates_times)
            for unit, value in zip(members, scaled, strict=True):
                found[unit] = value
        return tuple(found)

    @property
    def crowded(self) -> bool:
        """Whether the transport has to share cores with a stage that computes; taken for granted where it is not known.

        A stage that plays a slower machine waits for most of the time, and one that does not run on the CPU for all of it.
        """
        if self.badge != "measured":
            return True
        on_cpu = self.variant.provider == CPU if self.runs_on is None else self.runs_on == "cpu"
        if self.conditions.speed < 1 or not on_cpu:
            return False
        return self.conditions.core_count is None or self.variant.threads >= self.conditions.core_count

    @cached_property
    def rested(self) -> "Profile":
        """The profile of a device on which each frame comes after a pause: caches have cooled, and clocks are down.

        What was not measured so takes as long as without a pause, and sums of kernels are scaled as the whole is.
        """
        if all(segment.rested_s is None for segment in self.segments):
            return self
        segments = (structs.replace(each, p50_s=max(each.p50_s, each.rested_s or 0.0)) for each in self.segments)
        return structs.replace(self, segments=tuple(segments))

    def in_order(self, order: tuple[int, ...]) -> "Profile":
        """The profile of the graph with its units in another order."""
        if not order:
            return self
        rank = {unit: position for position, unit in enumerate(order)}
        kernels = tuple(structs.replace(kernel, units=tuple(rank[unit] for unit in kernel.units)) for kernel in self.kernels)
        segments = tuple(_spanning(segment, sorted(rank[unit] for unit in segment.members)) for segment in self.segments)
        resident = tuple(self.resident_bytes[unit] for unit in order) if self.resident_bytes else ()
        found = structs.replace(self, kernels=kernels, segments=segments, resident_bytes=resident)
        barred = tuple((rank[unit], reason) for unit, reason in self.cannot_run)
        return structs.replace(found, memory_model=self.memory_model.in_order(rank), cannot_run=barred)

    def with_segments(self, ordered: "Profile", order: tuple[int, ...]) -> "Profile":
        """This profile and what was measured of the graph in another order."""
        found = {segment.members: segment for segment in self.segments}
        for segment in ordered.segments:
            units = sorted(order[position] for position in segment.members) if order else list(segment.members)
            found[tuple(units)] = _spanning(segment, units)
        return structs.replace(self, segments=tuple(found[units] for units in sorted(found)))

    def optimistic(self) -> "Profile":
        """The profile with estimates as low as segments have turned out to be: nine in ten took longer.

        Where fewer than ten were measured, a quarter less, which is what sums of kernels are usually wrong by.
        """
        sums = tuple(accumulate(self.unit_s, initial=0.0))
        pairs = ((segment.p50_s, sums[segment.stop] - sums[segment.start]) for segment in self.ranges if segment != self.longest)
        ratios = sorted(measured / estimated for measured, estimated in pairs if estimated > 0)
        lowest = ratios[len(ratios) // 10] if len(ratios) >= LEAST_RATIOS else USUAL
        return structs.replace(self, estimates_times=self.estimates_times * min(lowest, 1.0))

    @cached_property
    def _sums(self) -> tuple[float, ...]:
        return tuple(accumulate(self.unit_s, initial=0.0))

    def compute_s(self, start: int, stop: int) -> tuple[float, Badge]:
        """Seconds of units ``[start, stop)`` and what they are worth: kernels tell no more than an estimate of a segment."""
        segment = self.segment(start, stop)
        if segment is not None:
            return segment.p50_s, self.badge
        return self._sums[stop] - self._sums[start], least((self.badge, "estimated"))

    def table(self) -> list[dict[str, object]]:
        """The segments that were measured, then each unit as its kernels are estimated, for pandas or a notebook."""
        rows: list[dict[str, object]] = [
            {
                "device": self.device,
                "precision": self.variant.precision,
                "start": each.start,
                "stop": each.stop,
                "p50_s": each.p50_s,
                "p10_s": each.p10_s,
                "p90_s": each.p90_s,
                "load_peak_bytes": each.load_peak_bytes,
                "run_peak_bytes": each.run_peak_bytes,
                "badge": self.badge,
            }
            for each in self.segments
        ]
        blank = dict.fromkeys(("p10_s", "p90_s", "load_peak_bytes", "run_peak_bytes"))
        for unit, seconds in enumerate(self.unit_s):
            if self.segment(unit, unit + 1) is None:
                own = {"start": unit, "stop": unit + 1, "p50_s": seconds, "badge": least((self.badge, "estimated"))}
                rows.append({**rows[0], **blank, **own})
        return rows

    def __repr__(self) -> str:
        """One line, however many kernels there are."""
        what = f"{self.unit_count} units on {self.device}, {self.variant}"
        return f"<Profile of {what}: {ms(self.longest.p50_s)} {self.badge}; profile.table() lists its segments>"

    @property
    def active_w(self) -> float | None:
        """Net watts at work, by which joules are attributed to whatever takes part of its time. None: not metered."""
        joules = self.energy.net_j_per_inference if self.energy else None
        return None if joules is None else max(joules, 0.0) / (self.longest.p50_s or 1.0)


def _scaled(seconds: list[float], whole_s: float) -> tuple[float, ...]:
    """Seconds in these proportions that add up to the whole; even ones where nothing is known of them."""
    total = sum(seconds)
    if total == 0:
        return (whole_s / len(seconds),) * len(seconds)
    return tuple(value * whole_s / total for value in seconds)


def _spanning(segment: SegmentTime, units: list[int]) -> SegmentTime:
    """The measurement as one of these units."""
    start, stop = units[0], units[-1] + 1
    return structs.replace(segment, start=start, stop=stop, units=() if len(units) == stop - start else tuple(units))
