"""Bursts of which a hypervisor took a part are made again."""

from msgspec.structs import replace

from edgekit.runtime.verbs import Measured
from profilers.measure import calm

CALM = Measured(samples_s=(1.0,), cpu_s=(1.0,), base_bytes=0, peak_bytes=0, load_s=0.1)


class Guest:
    """A connection to a machine that is robbed of these shares, one measurement after the other."""

    def __init__(self, *shares: float):
        self.shares = list(shares)

    def measure(self, request: object) -> tuple[Measured, bytes]:
        return replace(CALM, stolen=self.shares.pop(0)), b""


def test_a_calm_burst_is_made_once() -> None:
    guest = Guest(0.0, 0.9)
    assert calm.measured(guest, None).stolen == 0.0 and guest.shares == [0.9]  # type: ignore[arg-type]


def test_of_robbed_bursts_the_least_robbed_counts() -> None:
    pauses: list[float] = []
    assert calm.measured(Guest(0.5, 0.2, 0.01, 0.0), None, pauses.append).stolen == 0.01  # type: ignore[arg-type]
    assert calm.measured(Guest(0.5, 0.4, 0.2, 0.6, 0.0), None, pauses.append).stolen == 0.2  # type: ignore[arg-type]
    assert pauses == [0.5, 1.0, 0.5, 1.0, 1.5]
