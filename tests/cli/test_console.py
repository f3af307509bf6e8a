"""Progress of long commands without a terminal: lines that count, not too many."""

import pytest

from edgekit.cli.console import progress, steps


def test_a_command_says_what_it_does_and_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("surveying") as tell:
        tell("connecting")
        for link in range(100):
            tell(f"link {link + 1} of 100", link, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["surveying: connecting", "surveying: link 1 of 100"]
    assert len(lines) < 5


def test_steps_are_numbered_and_their_details_told(capsys: pytest.CaptureFixture[str]) -> None:
    with steps(2) as (begin, tell):
        begin("measuring the links")
        tell("link 1 of 6", 0, 6)
        begin("drawing")
    assert capsys.readouterr().err.splitlines() == [
        "measuring the links (1 of 2)",
        "measuring the links (1 of 2): link 1 of 6",
        "drawing (2 of 2)",
    ]
