"""The serial line of a microcontroller: what a frame takes on it, in both directions.

    line  =  latency + in bytes · in_s_per_byte + out bytes · out_s_per_byte

The line is no Link: it is part of the stage whose process owns it, and nothing else uses it. The
board computes while the line is silent, so the seconds of a stage are those of its line and those
of its board.
"""

from collections.abc import Iterable
from statistics import fmean, median
from typing import Literal

from msgspec import Struct

from edgekit.quantity import Bytes, Seconds

__all__ = ["LineTime", "SerialLine", "fitted_line"]


class LineTime(Struct, frozen=True, kw_only=True):
    """One request on the line: ``in`` puts bytes on the board, ``out`` gets bytes from it, and
    ``run`` starts the board and asks until it is done, without the seconds that the board counts.
    """

    way: Literal["in", "out", "run"]
    nbytes: Bytes = 0
    seconds: Seconds


class SerialLine(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a frame takes on a line, as it was measured, framing and acknowledgements included."""

    latency_s: Seconds
    in_s_per_byte: Seconds
    out_s_per_byte: Seconds

    def seconds(self, in_bytes: int, out_bytes: int) -> float:
        """Seconds of a frame that puts and gets so many bytes.

        >>> SerialLine(latency_s=0.5, in_s_per_byte=0.25, out_s_per_byte=0.125).seconds(8, 2)
        2.75
        """
        return self.latency_s + in_bytes * self.in_s_per_byte + out_bytes * self.out_s_per_byte


def fitted_line(times: Iterable[LineTime]) -> SerialLine | None:
    """The line that took these times; None where one of the two directions was not measured."""
    of_way: dict[str, list[tuple[int, float]]] = {"in": [], "out": [], "run": []}
    for each in times:
        of_way[each.way].append((each.nbytes, each.seconds))
    if not (of_way["in"] and of_way["out"]):
        return None
    into, out = _fitted(of_way["in"]), _fitted(of_way["out"])
    run_s = median(seconds for _, seconds in of_way["run"]) if of_way["run"] else 0.0
    latency_s = into[0] + out[0] + run_s
    return SerialLine(latency_s=latency_s, in_s_per_byte=into[1], out_s_per_byte=out[1])


def _fitted(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Seconds of no byte, and of each byte, by least squares over the median of each size; neither is negative."""
    sizes = sorted({nbytes for nbytes, _ in points})
    medians = [median(seconds for nbytes, seconds in points if nbytes == size) for size in sizes]
    x, y = fmean(sizes), fmean(medians)
    spread = sum((size - x) ** 2 for size in sizes)
    covered = sum((size - x) * (seconds - y) for size, seconds in zip(sizes, medians, strict=True))
    slope = covered / spread if spread else y / x if x else 0.0
    slope = min(max(slope, 0.0), y / x) if x else 0.0
    return y - slope * x, slope
