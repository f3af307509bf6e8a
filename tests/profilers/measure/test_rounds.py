"""Rounds of bursts: what settles, what is measured again, and when it ends."""

import pytest

from profilers.measure.rounds import MOST_BURSTS, Settled, in_rounds, repeatability


class Bench:
    """A machine whose bursts take what the test says; its clock goes on by one second a burst."""

    def __init__(self, samples: dict[str, list[float]], sentinels: list[float] | None = None):
        self.samples, self.sentinels = samples, sentinels or []
        self.done: dict[str, Settled] = {}
        self.order: list[str] = []
        self.now = 0.0

    def burst(self, key: str) -> list[float]:
        self.now += 1
        self.order.append(key)
        taken = self.order.count(key) - 1
        values = self.samples[key]
        return [values[min(taken, len(values) - 1)]] * 3

    def sentinel(self) -> float:
        self.order.append("S")
        return self.sentinels.pop(0) if self.sentinels else 1.0

    def settled(self, key: str, state: Settled) -> None:
        assert key not in self.done
        self.done[key] = state

    def measure(self, most_s: float = 1e9) -> dict[str, Settled]:
        in_rounds(self.samples, self.burst, self.sentinel, self.settled, most_s=most_s, clock=lambda: self.now)
        return self.done


def test_what_repeats_settles_after_two_bursts_in_different_rounds() -> None:
    bench = Bench({"a": [5.0], "b": [7.0]})
    assert bench.measure() == {"a": Settled((0, 1), 0.0), "b": Settled((0, 1), 0.0)}
    assert [key for key in bench.order if key != "S"].count("a") == 2
    assert bench.order[0] == bench.order[-1] == "S" and set(bench.order[1:3]) == {"a", "b"} and bench.order[3] == "S"


def test_odd_and_even_bursts_have_to_agree() -> None:
    bench = Bench({"a": [5.0, 6.0, 5.0, 6.0, 6.0, 6.0]})
    (state,) = bench.measure().values()
    assert len(state.kept) == MOST_BURSTS and state.repeatability == pytest.approx(1 / 5.5)


def test_one_odd_burst_is_outvoted_by_those_that_follow() -> None:
    bench = Bench({"a": [9.0, 5.0, 5.0, 5.0, 5.0, 5.0]})
    (state,) = bench.measure().values()
    assert state.kept == (0, 1, 2, 3, 4) and state.repeatability == 0.0


def test_bursts_beside_a_sentinel_that_drifted_are_made_again() -> None:
    bench = Bench({"a": [9.0, 9.0, 5.0, 5.0]}, sentinels=[1.0, 1.2, 1.2, 1.0, 1.0])
    assert bench.measure() == {"a": Settled((3, 4), 0.0)}


def test_a_machine_that_became_slow_for_good_is_measured_as_it_is() -> None:
    bench = Bench({"a": [5.0]}, sentinels=[1.0] + [2.0] * 20)
    assert bench.measure() == {"a": Settled(tuple(range(MOST_BURSTS)), 0.0)}


def test_on_a_device_that_is_only_played_the_bursts_count_that_agree() -> None:
    steady = {name: [3.0, 3.0] for name in "bdefg"}
    bench = Bench({"a": [9.0, 5.0, 7.0, 5.05], "c": [4.0, 5.0, 5.05], **steady})
    in_rounds(bench.samples, bench.burst, None, bench.settled)
    assert bench.done["a"].kept == (1, 3) and bench.done["b"].kept == (0, 1)
    assert bench.done["c"].kept == (1, 2)  # it was too quick once
    assert "S" not in bench.order


def test_a_played_device_that_never_repeats_is_as_quick_as_where_two_bursts_were_near_each_other() -> None:
    bench = Bench({"a": [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]})
    in_rounds(bench.samples, bench.burst, None, bench.settled)
    assert bench.done["a"].kept == (2, 3)


def test_the_more_a_played_machine_wanders_the_more_bursts_it_takes() -> None:
    calm, restless = ({name: [1.0 + by * (turn % 2) for turn in range(6)] for name in "abcdef"} for by in (0.01, 0.04))
    bursts = []
    for samples in (calm, restless):
        bench = Bench(samples)
        in_rounds(bench.samples, bench.burst, None, bench.settled)
        bursts.append({len(state.kept) for state in bench.done.values()})
    assert bursts == [{2}, {6}]


def test_when_time_is_over_each_has_been_measured_once() -> None:
    bench = Bench({name: [5.0] for name in "abcdefgh"}, sentinels=[1.0])
    states = bench.measure(most_s=2.0)
    assert sorted(states) == list("abcdefgh") and all(state == Settled((0,), float("inf")) for state in states.values())


def test_nothing_to_measure_takes_no_time() -> None:
    bench = Bench({})
    assert bench.measure() == {} and bench.order == []


def test_halves_of_bursts_are_compared_by_their_medians() -> None:
    assert repeatability([(1.0, 1.0, 9.0), (1.0, 1.1, 1.2), (1.0, 1.0), (1.1, 1.1)]) == pytest.approx(0.1 / 1.05)
    assert repeatability([(1.0,)]) == float("inf")
