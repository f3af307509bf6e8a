"""What a network takes on one device in each way in which it can be executed there."""

from typing import Annotated

from msgspec import Meta, Struct

from edgekit.conditions import Conditions
from edgekit.device import Variant
from edgekit.quantity import Name, Seconds

__all__ = ["Refusal", "Setting", "SettingTime", "Tuning"]

ALIKE = 1.02
"""Settings whose times differ by less are as good as each other: then the one with fewer threads is better."""


class Setting(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to execute a network; ``batch`` is how many frames it is given at once."""

    variant: Variant
    batch: Annotated[int, Meta(ge=1)] = 1


class SettingTime(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds of one run, which is a whole batch, corrected for how the device drifted meanwhile.

    ``cpu_s`` are processor seconds of a run, on all threads together.
    """

    setting: Setting
    p10_s: Seconds
    p50_s: Seconds
    p90_s: Seconds
    mad_s: Seconds
    cpu_s: Seconds
    wall_over_cpu: float
    samples: Annotated[int, Meta(ge=1)]
    rounds: Annotated[int, Meta(ge=1)]

    @property
    def frame_s(self) -> float:
        """Seconds for each frame."""
        return self.p50_s / self.setting.batch


class Refusal(Struct, frozen=True, forbid_unknown_fields=True):
    """A setting that the device or the network does not have, and why."""

    setting: Setting
    reason: str


class Tuning(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.tuning"):
    """Every setting that was tried for one graph on one device, all under the same conditions.

    Attributes:
        default: the setting that the device is described with, measured again and again to see the device drift.
        drift: the slowest of those measurements over the fastest.
    """

    graph: Name
    device: Name
    conditions: Conditions
    default: Setting
    times: tuple[SettingTime, ...]
    refused: tuple[Refusal, ...] = ()
    drift: float = 1.0
    emulated: bool = False
    version: int = 1

    def time(self, setting: Setting) -> SettingTime | None:
        """The measurement of a setting, if there is one."""
        return next((time for time in self.times if time.setting == setting), None)

    @property
    def quickest(self) -> SettingTime:
        """The best for latency: a frame alone, or the first of a batch, waits for a whole run."""
        return _best(self.times, [time.p50_s for time in self.times])

    @property
    def most(self) -> SettingTime:
        """The best for throughput, whatever the batch."""
        return _best(self.times, [time.frame_s for time in self.times])

    @property
    def best(self) -> Variant:
        """The variant that a device should have: the best for the network as it is."""
        alone = [time for time in self.times if time.setting.batch == 1]
        return _best(alone, [time.p50_s for time in alone]).setting.variant

    def efficiency(self, time: SettingTime) -> float | None:
        """What each of its threads does, compared with a single one; None where that was not measured."""
        variant = time.setting.variant
        alone = next(
            (other for other in self.times if _alone(other.setting) == _alone(time.setting) and other.setting.variant.threads == 1), None
        )
        return alone.p50_s / (time.p50_s * variant.threads) if alone and time.p50_s else None


def _alone(setting: Setting) -> tuple[str, str, int]:
    return setting.variant.precision, setting.variant.by, setting.batch


def _best(times: "list[SettingTime] | tuple[SettingTime, ...]", seconds: list[float]) -> SettingTime:
    bound = min(seconds) * ALIKE
    good = [
        (time.setting.variant.threads, value, index)
        for index, (time, value) in enumerate(zip(times, seconds, strict=True))
        if value <= bound
    ]
    return times[min(good)[2]]
