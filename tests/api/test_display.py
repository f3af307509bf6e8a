"""Where the progress of a long step is shown: a bar on a terminal, a line in a notebook."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from edgekit import api
from edgekit.api.display import on_terminal, showing, showing_start, shown
from edgekit.progress import Tell, silent

ROOT = Path(__file__).parents[2]

STEP = """
import time
from edgekit.api.display import shown
with shown("surveying") as tell:
    for link in range(4):
        tell(f"link {link + 1} of 4: near[0:2] → far", link, 4)
        time.sleep(0.6)
print("done")
"""


def on_a_terminal(program: str, **environment: str) -> str:
    """What a terminal gets that a program's standard error is."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "90"} | environment,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0, shown
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", shown.decode())


def test_a_terminal_gets_a_bar_with_counts_and_the_time_left() -> None:
    got = on_a_terminal(STEP)
    assert re.search(r"━{16} \d s surveying: link 1 of 4: near\[0:2\] → far", got)
    assert re.search(r"━[━╸╺]{14,15}.* a few seconds left surveying: link 4 of 4", got)


def test_a_terminal_that_changes_no_lines_gets_none() -> None:
    assert on_a_terminal(STEP, TERM="dumb") == ""


def test_a_notebook_gets_one_line_that_changes() -> None:
    cells = [nbformat.v4.new_code_cell(STEP)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute(cwd=ROOT)
    outputs = notebook.cells[0].outputs
    assert [output.output_type for output in outputs] == ["display_data", "stream"]
    assert re.fullmatch(r"surveying: \d\.\d s", outputs[0].data["text/plain"])


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert not on_terminal()
    with shown("surveying") as tell:
        tell("link 1 of 4", 0, 4)
    assert tell is silent
    assert capsys.readouterr() == ("", "")


def test_a_function_that_is_given_is_told_instead() -> None:
    told: list[str] = []
    with shown("surveying", told.append) as tell:
        tell("link 1 of 4", 0, 4)
    assert told == ["link 1 of 4"]


def test_a_function_of_a_text_serves_every_step() -> None:
    told: list[str] = []

    @showing("adding")
    def add(one: int, other: int = 1, tell: Tell = silent) -> int:
        tell("number 1 of 2", 0, 2)
        return one + other

    assert add(2) == 3
    assert add(2, 3, told.append) == add(2, other=3, tell=told.append) == 5
    assert told == ["number 1 of 2"] * 2


def test_a_context_tells_until_it_is_entered_and_ends_with_its_body() -> None:
    told: list[str] = []

    @contextmanager
    def opened(tell: Tell = silent) -> Iterator[int]:
        tell("opening")
        try:
            yield 3
        finally:
            tell("closing")

    with pytest.raises(KeyError), showing_start("opening")(opened)(told.append) as value:
        assert (value, told) == (3, ["opening"])
        raise KeyError
    assert told == ["opening", "closing"]


def test_what_takes_long_shows_itself_unasked() -> None:
    for step in (api.export, api.profile, api.partition, api.quantize, api.survey, api.tune, api.verify):
        assert getattr(step, "__wrapped__", None), step
    assert getattr(api.deploy, "__wrapped__", None)
