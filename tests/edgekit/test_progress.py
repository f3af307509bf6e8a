"""What is told of long steps: parts and the whole, estimates of the time left, lines."""

from collections.abc import Sequence

import pytest

from edgekit.pace import EVERY_S, Lines, Pace
from edgekit.progress import Tell, at_once, of_text, part_of, prefixed, silent

Told = list[tuple[str, float | None, float | None]]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def paced(*marks: tuple[float, float]) -> tuple[Clock, Pace]:
    """A step of ten parts at which so many were done after so many seconds."""
    clock = Clock()
    pace = Pace(clock)
    for after_s, done in marks:
        clock.now_s = 100.0 + after_s
        pace.mark(done, 10)
    return clock, pace


def recorder() -> tuple[Told, Tell]:
    told: Told = []

    def tell(text: str, done: float | None = None, total: float | None = None) -> None:
        told.append((text, done, total))

    return told, tell


def test_nothing_is_estimated_before_something_is_done() -> None:
    clock, pace = paced((0, 0))
    clock.now_s += 60
    assert pace.left_s() is None


def test_what_is_left_takes_as_long_as_what_was_done() -> None:
    _, pace = paced((0, 0), (4, 1), (8, 2))
    assert pace.left_s() == pytest.approx(8 * 4)


def test_the_time_left_runs_down_between_two_parts() -> None:
    clock, pace = paced((0, 0), (4, 1), (8, 2))
    clock.now_s += 3
    assert pace.left_s() == pytest.approx(8 * 4 - 3)


def test_a_part_that_takes_longer_lets_the_estimate_grow_slowly() -> None:
    clock, pace = paced((0, 0), (4, 1), (8, 2))
    clock.now_s += 4
    assert pace.left_s() == pytest.approx(7 * 4)
    clock.now_s += 4
    assert pace.left_s() == pytest.approx(7 * 16 / 3)


def test_a_step_that_began_half_way_is_not_thought_twice_as_fast() -> None:
    _, pace = paced((0, 5), (4, 6))
    assert pace.left_s() == pytest.approx(4 * 4)


def test_fewer_done_than_before_begins_another_step() -> None:
    _, pace = paced((0, 0), (4, 1), (8, 2), (9, 0))
    assert pace.left_s() is None


def test_a_step_of_unknown_length_has_no_estimate() -> None:
    clock = Clock()
    pace = Pace(clock)
    for done in range(5):
        clock.now_s += 2
        pace.mark(done, None)
    assert pace.left_s() is None


def test_a_finished_step_takes_no_more_time() -> None:
    clock, pace = paced((0, 0), (4, 1), (40, 10))
    clock.now_s += 100
    assert pace.left_s() == 0


def written(told: Sequence[tuple[float, str, float | None, float | None]]) -> list[str]:
    clock = Clock()
    lines: list[str] = []
    tell = Lines(lines.append, clock)
    for after_s, text, done, total in told:
        clock.now_s = 100.0 + after_s
        tell(text, done, total)
    return lines


def test_a_hundred_parts_in_ten_seconds_are_three_lines() -> None:
    assert written([(n / 10, f"link {n + 1} of 100", n, 100) for n in range(101)]) == [
        "link 1 of 100",
        f"link {EVERY_S * 10 + 1:.0f} of 100, a few seconds left",
        "link 101 of 100, a few seconds left",
    ]


def test_each_step_has_a_line_however_short_it_is() -> None:
    told = [(0, "cutting", None, None), (0.1, "connecting", None, None)]
    assert written([*told, (0.2, "connecting", None, None)]) == [
        "cutting",
        "connecting",
    ]


def test_a_line_says_about_how_long_it_still_takes() -> None:
    lines = written([(0, "link 1 of 12", 0, 12), (9, "link 2 of 12", 1, 12)])
    assert lines[-1] == "link 2 of 12, about 2 min left"


def test_a_prefix_passes_the_numbers_on() -> None:
    told, tell = recorder()
    prefixed(tell, "near")("round 2: 3 of 9 settled", 3, 9)
    assert told == [("near: round 2: 3 of 9 settled", 3, 9)]


def test_words_within_a_part_do_not_set_it_back() -> None:
    told, tell = recorder()
    part = part_of(tell, 10, 10, 40)
    part("link 1 of 2", 1, 2)
    part("connecting")
    assert told == [("link 1 of 2", 15, 40), ("connecting", 15, 40)]


def test_parts_that_run_at_once_are_added_up() -> None:
    told, tell = recorder()
    near, far = at_once(tell, (6, 2))
    near("near", 3, 6)
    far("far", 1, 2)
    near("near", 6, 6)
    assert told == [("near", 3, 8), ("far", 4, 8), ("near", 7, 8)]


def test_a_function_of_a_text_alone_is_told_the_text() -> None:
    texts: list[str] = []
    of_text(texts.append)("link 3 of 12", 2, 12)
    assert texts == ["link 3 of 12"]


def test_a_function_that_takes_numbers_is_told_them() -> None:
    told, tell = recorder()
    of_text(tell)("link 3 of 12", 2, 12)
    assert told == [("link 3 of 12", 2, 12)]


def test_silence_takes_anything() -> None:
    silent("link 3 of 12", 2, 12)
