"""Where every buffer of a program lies in the arena, and in which order its operators run."""

from typing import NamedTuple

__all__ = ["MemoryPlan"]


class MemoryPlan(NamedTuple):
    """What the planner decides of a program.

    Attributes:
        order: the indices of the operators as they run.
        offsets: of each buffer, from the begin of the arena.
        scratch: of each operator, by its index in the program: where its scratch begins.
        arena_bytes: the highest byte that is touched, plus 1.
    """

    order: tuple[int, ...]
    offsets: tuple[int, ...]
    scratch: tuple[int, ...]
    arena_bytes: int
