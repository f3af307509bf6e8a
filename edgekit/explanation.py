"""Why a plan, in numbers: what holds it up, how it compares with its neighbours on the front, and what would help."""

from msgspec import Struct

from edgekit.objectives import Objective
from edgekit.plan import Load, Plan
from edgekit.quantity import Name

__all__ = ["Explanation", "Help", "Neighbour"]


class Neighbour(Struct, frozen=True, forbid_unknown_fields=True):
    """Another plan of the front; for each objective its value over that of the plan that is explained."""

    plan: Plan
    ratios: tuple[tuple[Objective, float], ...]


class Help(Struct, frozen=True, forbid_unknown_fields=True):
    """A change, and for each objective the best there then is over the best there is now: below 1 it helps."""

    change: Name
    ratios: tuple[tuple[Objective, float], ...]


class Explanation(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.explanation"):
    """A plan of a front, explained.

    Attributes:
        loads: what it loads, the busiest first, which holds up the period.
        neighbours: the plans before and behind it in each objective.
        helps: changes of links and devices, what helps most first.
        barred: the units that an engine cannot run, each in a sentence.
    """

    plan: Plan
    loads: tuple[Load, ...]
    neighbours: tuple[Neighbour, ...]
    helps: tuple[Help, ...]
    barred: tuple[str, ...] = ()
    version: int = 1
