"""Whether a network fits on boards with a microcontroller, told without any board: what it takes, what peaks, what would fit."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from devices.mcu.boards import Board, board, boards
from devices.mcu.compiler import compile_segment
from devices.mcu.fit import Room, SegmentNeeds, needs_of, room_of
from edgekit import onnxio
from edgekit.errors import GraphError
from edgekit.graph import Graph
from edgekit.onnxio import Model, cut
from edgekit.stages.mcu_segments import places_of, refusals

__all__ = ["BoardFit", "known_boards", "network_fits"]

Span = tuple[int, int]


class BoardFit(NamedTuple):
    """How a network fits on one board.

    Attributes:
        needs, room: of the whole network; None where it does not compile, for the reason ``refused``.
        head, tail: the longest beginning and the longest end of it that fit, as units ``[start, stop)``; None where none does,
            or the whole fits.
        unit_count: units of the network.
    """

    board: Board
    needs: SegmentNeeds | None
    room: Room | None
    refused: str
    head: Span | None
    tail: Span | None
    unit_count: int

    @property
    def fits(self) -> bool:
        """Whether the whole network fits."""
        return self.room is not None and self.room.fits


def known_boards() -> tuple[Board, ...]:
    """The boards that the firmware has a port for."""
    return tuple(boards().values())


def network_fits(path: str | Path, name: str | None = None) -> tuple[BoardFit, ...]:
    """How a network in int8 (.onnx or .tflite) fits on every known board, or on the one of that name.

    Raises:
        GraphError: it cannot be read.
        UsageError: no such board.
    """
    wanted = known_boards() if name is None else (board(name),)
    source = onnxio.from_tflite(path) if str(path).endswith(".tflite") else path
    model = onnxio.load(onnxio.normalise(source, runs=False))
    graph = onnxio.read(model)
    segments = _Segments(model, graph)
    return tuple(_fit(segments, each) for each in wanted)


class _Segments:
    """What segments of a network take, each compiled once."""

    def __init__(self, model: Model, graph: Graph):
        self._model, self.graph = model, graph
        self._known: dict[Span, SegmentNeeds | str] = {}

    def needs(self, span: Span) -> SegmentNeeds | str:
        """What a segment takes, or why it does not compile."""
        if span not in self._known:
            self._known[span] = self._needs(span)
        return self._known[span]

    def _needs(self, span: Span) -> SegmentNeeds | str:
        segment, precision = self.graph.segment(*span), self.graph.precision
        try:
            onnx = cut(self._model, self.graph, *span, precision=precision)
            return needs_of(compile_segment(onnx, segment.inputs, segment.outputs))
        except GraphError as error:
            return str(error)

    def runnable(self, span: Span) -> bool:
        """Whether a microcontroller can run each of the units."""
        return not any(refusals(self._model, self.graph, self.graph.precision)[slice(*span)])


def _fit(segments: _Segments, board: Board) -> BoardFit:
    graph = segments.graph
    count = len(graph.units)
    whole = segments.needs((0, count))
    needs, refused = (None, whole) if isinstance(whole, str) else (whole, "")
    room = room_of(needs, board) if needs else None
    if room is not None and room.fits:
        return BoardFit(board, needs, room, "", None, None, count)
    places = places_of(graph, graph.precision)

    def fits(span: Span) -> bool:
        found = segments.needs(span) if span[0] < span[1] and segments.runnable(span) else ""
        return not isinstance(found, str) and room_of(found, board).fits

    head = _longest(places[1:-1], lambda place: fits((0, place)))
    tail = _longest(places[-2:0:-1], lambda place: fits((place, count)))
    return BoardFit(board, needs, room, refused, None if head is None else (0, head), None if tail is None else (tail, count), count)


def _longest(places: tuple[int, ...], fits: Callable[[int], bool]) -> int | None:
    """The last place up to which all fits; what is longer takes more, so that half of the places are left out each time."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if fits(places[middle]) else (low, middle)
    return places[low - 1] if low else None
