"""Under which conditions something was measured, and which of them make it stale when they change."""

from typing import Any, NamedTuple

from msgspec import Struct

from edgekit.quantity import Bytes, Count, Rate, Share

__all__ = ["STOLEN", "Change", "Conditions", "changes", "from_older"]

CONTENDED = 1.1

STOLEN = 0.04
"""Share of the processors' time that a hypervisor may take away without a word."""

VALIDITY = (
    "machine",
    "processor",
    "engines",
    "optimization",
    "spinning",
    "speed",
    "cores",
    "system",
    "kernel",
    "governors",
    "power_mode",
    "throttled",
    "gpus",
)
"""Conditions of which a change makes a profile stale."""


class Conditions(Struct, frozen=True, forbid_unknown_fields=True):
    """What held while measuring, as the device reported it.

    Attributes:
        engines: all that were there, each with its version (``onnxruntime 1.31.1``).
        governors, power_mode: of its clocks, before and after alike.
        throttled: what held it back, before and after alike (a Raspberry Pi's words for it).
        clock_hz, temperature_c: before and after.
        gpus: those of NVIDIA, each with its driver.
        load_average: of the minute before.
        rate_per_s: at which frames came in, as in a stream; None: one as soon as the one before was done.
        wall_over_cpu: above 1.1 something else used the processor; known with one thread only.
        stolen: share of the processors' time that a hypervisor took away in the worst burst that counts; None: nothing.
        core_count: how many cores a stage may use; None: not known.
        memory_bytes: RAM of the machine; None: not known. Plans take no more of it than there is.
    """

    machine: str
    processor: str
    engines: tuple[str, ...]
    optimization: int
    spinning: bool
    speed: float
    cores: tuple[int, ...] | None = None
    load_average: float | None = None
    wall_over_cpu: float | None = None
    system: str | None = None
    kernel: str | None = None
    governors: tuple[str, ...] = ()
    power_mode: str | None = None
    throttled: tuple[str, ...] = ()
    clock_hz: tuple[float, ...] = ()
    temperature_c: tuple[float, ...] = ()
    gpus: tuple[str, ...] = ()
    rate_per_s: Rate | None = None
    stolen: Share | None = None
    core_count: Count | None = None
    memory_bytes: Bytes | None = None

    @property
    def contended(self) -> bool:
        """Whether something else used the processor meanwhile."""
        return (self.wall_over_cpu or 1.0) > CONTENDED

    @property
    def robbed(self) -> bool:
        """Whether a hypervisor gave much of its time to others meanwhile."""
        return (self.stolen or 0.0) > STOLEN


class Change(NamedTuple):
    """A condition that is no longer what it was."""

    field: str
    before: object
    after: object

    def __str__(self) -> str:
        return f"{self.field.replace('_', ' ')} was {_word(self.before)}, and is {_word(self.after)}"


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return "unknown" if value is None else str(value)


def changes(before: Conditions, after: Conditions) -> tuple[Change, ...]:
    """What makes figures of the one say nothing of the other."""
    pairs = ((field, getattr(before, field), getattr(after, field)) for field in VALIDITY)
    return tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])


def from_older(raw: dict[str, Any]) -> dict[str, Any]:
    """Conditions as a file of an earlier edgekit has them, which knew of one engine, in the form of today.

    >>> from_older({"machine": "x86_64", "onnxruntime": "1.31.1"})
    {'machine': 'x86_64', 'engines': ['onnxruntime 1.31.1']}
    """
    if "onnxruntime" not in raw:
        return raw
    kept = {name: value for name, value in raw.items() if name != "onnxruntime"}
    return {**kept, "engines": [f"onnxruntime {raw['onnxruntime']}"] if raw["onnxruntime"] else []}
