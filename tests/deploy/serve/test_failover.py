"""How long a client is told to wait for another plan: only where one was kept, and only while a machine is silent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit import api
from edgekit.deploy.serve import failover
from edgekit.deploy.serve.failover import Coordinator
from tests.models import local, serial, split
from tests.runtime.bed import eventually, tracked

NET = serial()
PLAN = split(NET.graph, (0, 2, "a"), (2, 5, "b"))
SPARE = {frozenset({"b"}): split(NET.graph, (0, 5, "a"))}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with tracked(tmp_path):
        yield tmp_path / "h"
        api.end(tmp_path / "h")


def test_where_no_plan_was_kept_nobody_waits_for_one(home: Path) -> None:
    api.deploy_to_stay(PLAN, NET.graph, NET.model, local("a", "b"), home)
    coordinator = Coordinator(home)
    assert not coordinator.mending()
    assert not coordinator.mending()


def test_while_all_machines_answer_nobody_waits_for_another_plan(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "AGAIN_S", 0.2)
    api.deploy_to_stay(PLAN, NET.graph, NET.model, local("a", "b"), home, fallbacks=SPARE)
    coordinator = Coordinator(home)
    assert coordinator.mending()  # nobody knows yet
    eventually(lambda: not coordinator.mending())
    assert not any(coordinator.mending() for _ in range(100))
