"""The long cable of the bed: what is sent over it comes late, and whole."""

import time
from pathlib import Path

import pytest

from devices import connect
from tests.sshbed import bed

DELAY_S = 0.1
PAYLOAD = bytes(range(256)) * 4096
"""A megabyte: many frames, each of which needs its checksum."""


def lines() -> set[str]:
    return {path.name for path in Path("/sys/class/net").glob("ek*t")}


def test_a_long_cable_delays_and_loses_nothing(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lines()
    with bed(tmp_path_factory.mktemp("long"), monkeypatch) as lab:
        device = lab.board("far", rate="50mbit", delay_s=DELAY_S).device()
        with connect(device) as connection:
            begin = time.monotonic()
            assert connection.facts().machine.cores >= 1
            assert time.monotonic() - begin >= 2 * DELAY_S
            connection.put(PAYLOAD)
        assert len(lines() - before) == 1
    assert not lines() - before
