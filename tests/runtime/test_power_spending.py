"""Energy of windows on a replayed clock; every sum is worked out by hand beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from edgekit.energy import Energy
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.energy_sum import Sum, add_up
from edgekit.runtime.power.energy_use import measure, spent
from edgekit.runtime.power.meter import Meter
from edgekit.runtime.power.power_samples import Record, Sample, record


class Clock:
    """Time that passes only while somebody sleeps, or reads a slow meter."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def meter(told: Callable[[], float | None], unit: str = "watts", range_j: dict[str, float] | None = None) -> Meter:
    def read() -> dict[str, float]:
        value = told()
        return {} if value is None else {"all": value}

    return Meter("rapl" if unit == "joules" else "ina3221", "/sys", unit, ("all",), ("all",), read, range_j or {})


def samples(*readings: Sequence[float]) -> Record:
    """``(at_s, value ...)`` of a window that begins with the first of them and ends with the last."""
    return Record(readings[0][0], readings[-1][0], tuple(Sample(at_s, tuple(values)) for at_s, *values in readings))


WATTS = meter(lambda: 0.0)
COUNTER = meter(lambda: 0.0, "joules", {"all": 100.0})


def test_watts_are_summed_by_trapezoids_at_the_times_they_were_read() -> None:
    #    W  4      o
    #       3    /   \
    #       2  o       - - o           (2+4)/2 · 0.25  +  (4+2)/2 · 0.5
    #          0  .25     .75 s
    assert add_up(WATTS, samples((0, 2), (0.25, 4), (0.75, 2)), longest_gap_s=0.5) == Sum(0.75 + 1.5, 0.75)


def test_a_gap_that_is_too_long_is_left_out_of_the_joules_and_of_the_coverage() -> None:
    readings = samples((0, 2), (0.5, 2), (1.25, 6), (1.5, 6))
    assert add_up(WATTS, readings, longest_gap_s=0.5) == Sum(2 * 0.5 + 6 * 0.25, 0.75)


def test_rails_are_added_up() -> None:
    rails = Meter("pmic", "", "watts", ("a", "b"), ("a", "b"), dict)
    assert add_up(rails, samples((0, 1, 2), (0.5, 3, 4)), longest_gap_s=0.5) == Sum(((1 + 2) + (3 + 4)) / 2 * 0.5, 0.5)


def test_a_counter_that_begins_again_has_gone_on_to_its_range_first() -> None:
    #                             5  +  (100 - 95) + 3  +  2
    readings = samples((0, 90), (1, 95), (2, 3), (9, 5))
    assert add_up(COUNTER, readings, longest_gap_s=0.5) == Sum(5 + 8 + 2, 9)


def test_every_rail_of_a_counter_begins_again_by_itself() -> None:
    both = Meter("rapl", "", "joules", ("a", "b"), ("a", "b"), dict, {"a": 100.0, "b": 50.0})
    #  a: 100 - 99 + 1    b: 50 - 40 + 5
    assert add_up(both, samples((0, 99, 40), (1, 1, 5)), longest_gap_s=0.5) == Sum(2 + 15, 1)


def test_a_counter_that_goes_back_without_a_known_range_leaves_a_gap() -> None:
    assert add_up(meter(lambda: 0.0, "joules"), samples((0, 9), (1, 3), (2, 4)), longest_gap_s=0.5) == Sum(1, 1)


def test_a_meter_is_read_at_both_ends_and_every_interval_between() -> None:
    clock = Clock()
    found = record(meter(clock), 1.0, interval_s=0.25, clock=clock, sleep=clock.sleep)
    assert found == samples((0, 0), (0.25, 0.25), (0.5, 0.5), (0.75, 0.75), (1, 1))


def test_a_meter_slower_than_the_interval_is_read_without_a_pause_and_in_the_middle_of_its_time() -> None:
    clock = Clock()

    def slow() -> float:
        clock.sleep(0.5)
        return 7.0

    found = record(meter(slow), 1.0, interval_s=0.25, clock=clock, sleep=clock.sleep)
    assert found == Record(0, 1, (Sample(0.25, (7.0,)), Sample(0.75, (7.0,))))


def test_a_record_ends_with_the_work() -> None:
    clock = Clock()
    found = record(meter(lambda: 1.0), 60, interval_s=0.5, clock=clock, sleep=clock.sleep, busy=lambda: clock() < 1.5)
    assert (found.window_s, len(found.samples)) == (1.5, 4)


def replayed(watts: Callable[[float], float | None], seconds: float = 10.0, at_s: float = 0.0) -> Record:
    clock = Clock()
    clock.now_s = at_s
    return record(meter(lambda: watts(clock())), seconds, interval_s=0.125, clock=clock, sleep=clock.sleep)


def energy(active: Record, idle: Record | None = None, inferences: int | None = None, of: Meter = WATTS) -> Energy:
    return msgspec.convert(spent(of, idle, active, inferences=inferences), Energy)


def test_net_is_gross_less_the_watts_at_rest() -> None:
    found = energy(replayed(lambda now: 5.0), replayed(lambda now: 3.0), inferences=40)
    assert found == Energy("ina3221", ("all",), 10.0, 81, 1.0, gross_j=50.0, net_j=20.0, idle_w=3.0, inferences=40)
    assert (found.gross_j_per_inference, found.net_j_per_inference) == (1.25, 0.5)  # 50 J / 40, (50 - 3 · 10) J / 40


def test_a_ramp_is_the_area_below_it() -> None:
    found = energy(replayed(lambda now: 2.0 + now), replayed(lambda now: 2.0))
    assert (found.gross_j, found.net_j) == (pytest.approx(70.0), pytest.approx(50.0))  # 2 · 10 + 10²/2


def test_seconds_that_nobody_saw_are_neither_spent_nor_rested() -> None:
    def watts(now: float) -> float | None:
        return None if 4.0 < now < 4.75 else 5.0  # 0.75 s between neighbours, of which 0.5 s may be bridged

    found = energy(replayed(watts), replayed(lambda now: 3.0), inferences=37)
    assert (found.coverage, found.reason) == (0.925, None)
    assert (found.gross_j, found.net_j) == (46.25, 18.5)  # 5 W · 9.25 s, 2 W · 9.25 s
    assert found.net_j_per_inference == pytest.approx(20.0 / 37)  # 2 W over the whole of the 10 s


def test_below_nine_tenths_there_are_no_joules() -> None:
    found = energy(replayed(lambda now: None if 4 < now < 6 else 5.0), replayed(lambda now: 3.0), inferences=40)
    assert (found.coverage, found.gross_j, found.net_j, found.idle_w) == (0.8, None, None, 3.0)
    assert found.reason == "at work: readings of ina3221 cover 80% of the time, it takes 90%; 15 gave nothing"
    assert found.net_j_per_inference is None


def test_a_window_under_ten_seconds_is_no_measurement() -> None:
    found = energy(replayed(lambda now: 5.0, seconds=9.5), replayed(lambda now: 3.0, seconds=4))
    assert (found.gross_j, found.net_j, found.idle_w, found.window_s) == (None, None, None, 9.5)
    assert found.reason == "at work: 9.5 s are too short, it takes 10 s; at rest: 4.0 s are too short, it takes 10 s"


def test_few_readings_of_watts_are_no_measurement() -> None:
    few = samples(*((n / 4, 5.0) for n in range(41)))
    assert energy(few).reason == "at work: 41 readings of ina3221 are too few, it takes 50; 0 gave nothing; at rest: not measured"


def test_without_rest_there_is_only_gross() -> None:
    found = energy(replayed(lambda now: 5.0))
    assert (found.gross_j, found.net_j, found.idle_w, found.reason) == (50.0, None, None, "at rest: not measured")


def test_less_at_work_than_at_rest_is_said_as_it_was() -> None:
    assert energy(replayed(lambda now: 3.0), replayed(lambda now: 3.5)).net_j == -5.0


def test_a_counter_is_spent_by_difference() -> None:
    found = energy(samples((0, 80), (5, 5), (10, 30)), samples((0, 20), (10, 30)), inferences=20, of=COUNTER)
    # 100 - 80 + 5 + 25 = 50 J at work; 10 J in 10 s at rest
    assert found == Energy("rapl", ("all",), 10.0, 3, 1.0, gross_j=50.0, net_j=40.0, idle_w=1.0, inferences=20)


def jetson(root: Path) -> Callable[[int], None]:
    """A tree of one INA3221 rail at 5 V; what is given back sets its milliamperes."""
    folder = root / "sys/class/hwmon/hwmon0"
    folder.mkdir(parents=True)
    for name, text in {"name": "ina3221", "in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "600"}.items():
        (folder / name).write_text(text)
    return lambda milliamperes: (folder / "curr1_input").write_text(str(milliamperes)) and None


def test_rest_then_work_on_files_as_a_jetson_has_them(tmp_path: Path) -> None:
    clock, draw, order = Clock(), jetson(tmp_path), []

    def start() -> Callable[[], int]:
        order.append(("start", clock()))
        draw(1400)
        return stop

    def stop() -> int:
        order.append(("stop", clock()))
        return 80

    found = msgspec.convert(measure(Here(str(tmp_path), {}), start, interval_s=0.125, clock=clock, sleep=clock.sleep), Energy)
    assert order == [("start", 10.0), ("stop", 20.0)]
    # 5 V · 0.6 A = 3 W at rest, 5 V · 1.4 A = 7 W at work: 70 J, 40 J net, of 80 inferences
    assert found.gross_j == pytest.approx(70.0) and found.idle_w == pytest.approx(3.0) and found.net_j == pytest.approx(40.0)
    assert (found.meter, found.rails, found.coverage, found.reason) == ("ina3221", ("VDD_IN",), 1.0, None)
    assert found.net_j_per_inference == pytest.approx(0.5)


def test_the_work_is_ended_also_when_the_record_breaks(tmp_path: Path) -> None:
    clock, stopped = Clock(), []
    jetson(tmp_path)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock() > 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(Here(str(tmp_path), {}), lambda: lambda: stopped.append(True) or 0, clock=clock, sleep=sleep)
    assert stopped == [True]


def test_without_a_meter_nothing_runs_and_the_reason_is_said(tmp_path: Path) -> None:
    def start() -> Callable[[], int]:
        raise AssertionError("started")

    found = msgspec.convert(measure(Here(str(tmp_path), {}), start), Energy)
    assert found == Energy(reason=found.reason)
    assert found.reason is not None and found.reason.startswith("ina3221: no rail of an INA3221 under /sys/class/hwmon")
