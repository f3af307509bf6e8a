"""How long runs last on the machine that is played."""

import pytest

from edgekit.runtime.engine.slowdown import Pace


def lasts(pace: Pace, wall_s: float, busy_s: float) -> float:
    return wall_s + pace.remainder_s(wall_s, busy_s)


def test_a_run_lasts_its_processor_time_over_the_speed() -> None:
    pace = Pace(0.25)
    pace.learn(0.01, 1.0)
    assert [lasts(pace, 0.01, 0.01) for _ in range(3)] == pytest.approx([0.04] * 3)


def test_at_full_speed_nothing_is_waited_for() -> None:
    pace = Pace(1.0)
    assert [pace.remainder_s(seconds, seconds) for seconds in (0.01, 0.004, 0.02)] == [0, 0, 0]


def test_what_neighbours_add_is_taken_from_the_wait() -> None:
    pace = Pace(0.5)
    pace.learn(0.010, 1.0)
    assert lasts(pace, 0.014, 0.014) == pytest.approx(0.020)  # a sibling thread was busy
    assert lasts(pace, 0.017, 0.010) == pytest.approx(0.020)  # another process had the core meanwhile


def test_the_pace_is_what_was_learned_before_frames_came() -> None:
    pace = Pace(0.5)
    for busy_s in (0.012, 0.010, 0.010):
        pace.learn(busy_s, 1.0)
    assert lasts(pace, 0.011, 0.011) == pytest.approx(0.020)
    assert lasts(pace, 0.009, 0.009) == pytest.approx(0.020)  # the machine that plays is in luck, not the one that is played


def test_what_the_machine_is_slower_than_usual_is_not_the_works_doing() -> None:
    pace = Pace(0.5)
    for slowness in (0.96, 1.0, 1.05):
        pace.learn(0.010 * slowness, slowness)
    assert lasts(pace, 0.0104, 0.0104) == pytest.approx(0.020)


def test_a_run_that_takes_longer_than_it_should_is_not_cut_short() -> None:
    pace = Pace(0.5)
    pace.learn(0.010, 1.0)
    assert lasts(pace, 0.025, 0.010) == 0.025


def test_what_a_pause_adds_is_taken_from_the_wait() -> None:
    pace = Pace(0.25)
    pace.learn(0.010, 1.0)
    pace.rested(0.025)
    assert lasts(pace, 0.030, 0.030) == pytest.approx(0.040)  # caches had cooled
    assert lasts(pace, 0.050, 0.050) == pytest.approx(0.200)  # there was more to do than that


def test_a_frame_with_more_to_do_is_stretched_by_its_own_time() -> None:
    pace = Pace(0.5)
    pace.learn(0.010, 1.0)
    assert lasts(pace, 0.050, 0.050) == pytest.approx(0.100)


def test_work_that_was_never_learned_is_stretched_by_its_own_time() -> None:
    pace = Pace(0.25)
    assert lasts(pace, 0.01, 0.01) == pytest.approx(0.04)
