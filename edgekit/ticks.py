"""What a microcontroller counts while it computes: cycles where it has a counter, else instructions."""

from typing import Literal

from msgspec import Struct

from edgekit.quantity import Count
from edgekit.wording import three

__all__ = ["TickUnit", "Ticks"]

TickUnit = Literal["insn", "cycles"]


class Ticks(Struct, frozen=True, forbid_unknown_fields=True):
    """How many of them one run took. Instructions are those of an emulator: a real board takes one or more cycles for each."""

    number: Count
    unit: TickUnit

    def __str__(self) -> str:
        """
        >>> str(Ticks(23_040_000, "insn")), str(Ticks(812, "cycles"))
        ('23 M insn', '812 cycles')
        """
        for size, word in ((1e6, "M "), (1e3, "k ")):
            if self.number >= size:
                return f"{three(self.number / size)} {word}{self.unit}"
        return f"{self.number} {self.unit}"
