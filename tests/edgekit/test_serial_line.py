"""The line of a microcontroller is fitted to its requests: latency, and seconds of a byte in both directions."""

import pytest

from edgekit.serial_line import LineTime, SerialLine, fitted_line


def times(way: str, *points: tuple[int, float]) -> list[LineTime]:
    return [LineTime(way=way, nbytes=nbytes, seconds=seconds) for nbytes, seconds in points]  # type: ignore[arg-type]


def test_a_line_is_fitted_to_sizes_in_both_directions() -> None:
    line = fitted_line([*times("in", (100, 1.5), (300, 2.5)), *times("out", (100, 0.5), (500, 1.5)), *times("run", (0, 0.25))])
    assert line is not None
    assert line.in_s_per_byte == pytest.approx(0.005) and line.out_s_per_byte == pytest.approx(0.0025)
    assert line.latency_s == pytest.approx(1.0 + 0.25 + 0.25)
    assert line.seconds(200, 300) == pytest.approx(2.0 + 1.0 + 0.25)


def test_of_requests_of_one_size_the_median_counts() -> None:
    points = (100, 1.0), (100, 1.25), (100, 9.0), (300, 2.25)
    line = fitted_line([*times("in", *points), *times("out", *points)])
    assert line is not None and line.in_s_per_byte == pytest.approx(0.005)


def test_requests_of_one_size_only_are_all_bytes() -> None:
    line = fitted_line([*times("in", (100, 1.0)), *times("out", (10, 0.5))])
    assert line == SerialLine(latency_s=0.0, in_s_per_byte=0.01, out_s_per_byte=0.05)


def test_noise_makes_no_byte_and_no_latency_negative() -> None:
    line = fitted_line([*times("in", (100, 2.0), (200, 1.0)), *times("out", (100, 0.1), (200, 1.0))])
    assert line is not None
    assert line.in_s_per_byte == 0 and line.latency_s == pytest.approx(1.5)
    assert line.out_s_per_byte == pytest.approx(0.55 / 150)


def test_a_direction_that_nobody_measured_is_not_made_up() -> None:
    assert fitted_line(times("in", (100, 1.0))) is None and fitted_line(()) is None
