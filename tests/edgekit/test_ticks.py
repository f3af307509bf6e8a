"""Ticks are told in short with their unit: instructions are never called cycles."""

from edgekit.ticks import Ticks


def test_ticks_are_told_with_three_digits_and_their_unit() -> None:
    numbers = (7, 1234, 23_040_000, 123_456_789)
    assert [str(Ticks(number, "insn")) for number in numbers] == ["7 insn", "1.23 k insn", "23 M insn", "123 M insn"]
    assert str(Ticks(48_000, "cycles")) == "48 k cycles"
