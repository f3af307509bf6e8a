"""Where every buffer of a program lies in the arena, in which order its operators run, and what proves it."""

from typing import NamedTuple

__all__ = ["Certificate", "Interval", "MemoryPlan", "Overlap"]


class Interval(NamedTuple):
    """A buffer holds bytes [begin, stop) of the arena from the operator at position ``first`` of the order to the one at ``last``.

    -1 is the begin, where the inputs arrive; the number of operators is the end, where the outputs leave.
    """

    buffer: int
    first: int
    last: int
    begin: int
    stop: int


class Overlap(NamedTuple):
    """While an operator (its index in the program) runs, its output lies over an input that begins at least ``distance`` bytes after
    the output does."""

    operator: int
    input: int
    output: int
    distance: int


class Certificate(NamedTuple):
    """What a plan claims, so that ``verifier.verify_plan`` can replay it.

    Attributes:
        liveness_bytes: what this order needs where nothing lies over anything, without scratch.
        overlap_bytes: what this order needs at least, by each operator's best overlap alone.
        least_bytes: no order and no placement of this program needs less.
        intervals: one for each buffer.
        overlaps: every pair of an output and an input that share bytes.
    """

    liveness_bytes: int
    overlap_bytes: int
    least_bytes: int
    intervals: tuple[Interval, ...]
    overlaps: tuple[Overlap, ...]


class MemoryPlan(NamedTuple):
    """What the planner decides of a program.

    Attributes:
        order: the indices of the operators as they run.
        offsets: of each buffer, from the begin of the arena.
        scratch: of each operator, by its index in the program: where its scratch begins; 0 where it needs none.
        arena_bytes: the highest byte that is touched, plus 1.
        certificate: what the planner claims; None for a plan that is written by hand.
    """

    order: tuple[int, ...]
    offsets: tuple[int, ...]
    scratch: tuple[int, ...]
    arena_bytes: int
    certificate: Certificate | None = None

    @property
    def exact(self) -> bool:
        """Whether it is proven that no plan of this program needs less."""
        return self.certificate is not None and self.arena_bytes == self.certificate.least_bytes
