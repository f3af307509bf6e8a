"""The log of a device: one event a line, whoever wrote it, and never more than it may take."""

import io
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit.runtime import log
from edgekit.runtime.agent import journal
from edgekit.runtime.agent.journal import Journal, read_on
from edgekit.runtime.log import event_of, say, say_seldom
from edgekit.runtime.verbs import Logs, LogsReply
from tests.runtime.bed import eventually, spec
from tests.runtime.stage.test_serving_stage import Bench

TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.supervisor.stop(None)


def read(text: str) -> list[dict[str, object]]:
    """Every line by itself; each holds all that an event must have."""
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        assert list(event)[:4] == ["time", "monotonic_s", "level", "event"]
        assert TIME.fullmatch(event["time"]) and event["monotonic_s"] > 0 and event["level"] in ("info", "warning", "error")
    return found


def logged(folder: Path) -> list[dict[str, object]]:
    return read((folder / "agent.log").read_text())


def test_an_event_says_when_and_where_in_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Journal(tmp_path))
    say("it works")
    say('a "quoted"\nline', level="warning", of=spec("-"), epoch=3, frame=7)
    first, second = logged(tmp_path)
    assert (first["event"], len(first)) == ("it works", 4)
    where = {"device": "bench", "stage": 0, "replica": 0, "plan": "plan", "epoch": 3, "frame": 7}
    assert second["event"] == 'a "quoted"\nline' and {name: second[name] for name in where} == where
    assert event_of((tmp_path / "agent.log").read_text().splitlines()[0]) is not None


def test_what_is_no_event_becomes_one_of_its_stage(tmp_path: Path) -> None:
    made, words = Journal(tmp_path), b'Traceback: \xff\n{"half": an event}\n\n  \nthe last words'
    made.follow(io.BytesIO(words), spec("-"))
    eventually(lambda: "last words" in read_on(tmp_path, None)[0])
    found = logged(tmp_path)
    assert [event["event"] for event in found] == ["Traceback: \ufffd", '{"half": an event}', "the last words"]
    assert {(event["level"], event["device"], event["stage"]) for event in found} == {("warning", "bench", 0)}


def test_lines_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    made = Journal(tmp_path)

    def write(name: str) -> None:
        for _ in range(50):
            for piece in (name, name, name, "\n"):
                made.write(piece)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(event["event"] for event in logged(tmp_path)) == [3 * name for name in "abcd" for _ in range(50)]


def test_a_log_is_begun_anew_when_it_has_grown_and_is_read_on_across_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_FILE_BYTES", 5000)
    made, mark, seen = Journal(tmp_path), 0, ""
    for number in range(200):
        made.add(f"event {number}")
        if number % 7 == 0:
            text, mark = read_on(tmp_path, mark)
            seen += text
    for _ in range(2):
        text, mark = read_on(tmp_path, mark)
        seen += text
    assert [event["event"] for event in read(seen)] == [f"event {number}" for number in range(200)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agent.log", "agent.log.1"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 5300


def test_of_a_long_log_the_latest_whole_lines_are_told(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    for number in range(600):
        made.add(f"event {number} {'x' * 50}")
    text, mark = read_on(tmp_path, None)
    found = read(text)
    assert 100 < len(found) < 600 and str(found[-1]["event"]).startswith("event 599 ")
    assert mark == (tmp_path / "agent.log").stat().st_size and read_on(tmp_path, mark) == ("", mark)


def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    made = Journal(tmp_path / "later")
    for _ in range(3):
        made.add("nobody reads this")
    (tmp_path / "later").mkdir()
    made.add("this is read")
    text = read_on(tmp_path / "later", None)[0].strip()
    assert [event["event"] for event in read(text)] == ["3 lines of this log could not be written", "this is read"]
    assert read_on(tmp_path, None) == ("", 0)


def test_what_others_can_cause_is_said_a_few_times_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Journal(tmp_path))
    log._said.clear()
    for _ in range(100):
        say_seldom("somebody knocks")
    assert len(logged(tmp_path)) == log.MOST_SAID


def test_all_that_a_pipeline_logs_is_an_event_a_line(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Journal(tmp_path))  # as the agent has it
    bench.lookup()
    with bench.client() as client:
        assert [result.error is None for result in client.stream({"i": np.array([index])} for index in (0, 9, 1))] == [True, False, True]
    os.kill(bench.status().pid, 9)
    eventually(lambda: "is back" in read_on(tmp_path, None)[0])
    reply, _ = bench.supervisor.answer(Logs(), b"")
    assert isinstance(reply, LogsReply)
    found = read(reply.text)

    def of(words: str) -> dict[str, object]:
        """The event that says this."""
        return next(event for event in found if words in str(event["event"]))

    assert of("loaded stage 0@bench")["stage"] == 0
    failed = of("out of data bounds")
    assert (failed["level"], failed["frame"], failed["device"]) == ("warning", 1, "bench") and failed["epoch"]
    assert of("its process ended (killed")["level"] == "error" and of("is back")["plan"] == "plan"
