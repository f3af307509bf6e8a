"""Two profiles side by side: what was different, and where that shows."""

from collections import defaultdict
from typing import NamedTuple

from edgekit.conditions import Change, changes
from edgekit.profile import Profile

__all__ = ["Shift", "differences", "shifts"]


class Shift(NamedTuple):
    """Seconds of the whole, of all kernels of a type or of a unit, in the one profile and in the other."""

    name: str
    before_s: float
    after_s: float

    @property
    def ratio(self) -> float | None:
        """How many times as long it takes now; None where it took nothing."""
        return self.after_s / self.before_s if self.before_s else None


def differences(before: Profile, after: Profile) -> tuple[Change, ...]:
    """What the two were not taken of or under alike."""
    pairs = (
        ("graph", before.graph[:12], after.graph[:12]),
        ("device", before.device, after.device),
        ("precision", before.variant.precision, after.variant.precision),
        ("engine", before.variant.by, after.variant.by),
        ("threads", before.variant.threads, after.variant.threads),
    )
    return (*(Change(*pair) for pair in pairs if pair[1] != pair[2]), *changes(before.conditions, after.conditions))


def shifts(before: Profile, after: Profile) -> list[Shift]:
    """The whole, also after a pause, then the types of kernels, those first that changed most; for one graph the units as well."""
    first, last = before.longest, after.longest
    found = [Shift(before.extent, first.p50_s, last.p50_s)]
    if first.rested_s is not None and last.rested_s is not None:
        found.append(Shift("after a pause", first.rested_s, last.rested_s))
    found += _by_change(_types(before), _types(after))
    if before.graph == after.graph and before.kernels and after.kernels:
        units = ({f"unit {index}": seconds for index, seconds in enumerate(profile.unit_s)} for profile in (before, after))
        found += _by_change(*units)
    return found


def _types(profile: Profile) -> dict[str, float]:
    """Seconds by type, scaled so that all add up to the measured whole."""
    seconds: dict[str, float] = defaultdict(float)
    for kernel in profile.kernels:
        seconds[kernel.op] += kernel.seconds
    total = sum(seconds.values())
    return {op: value * profile.longest.p50_s / total for op, value in seconds.items()} if total else {}


def _by_change(before: dict[str, float], after: dict[str, float]) -> list[Shift]:
    names = dict.fromkeys((*before, *after))
    found = [Shift(name, before.get(name, 0.0), after.get(name, 0.0)) for name in names]
    return sorted(found, key=lambda shift: -abs(shift.after_s - shift.before_s))
