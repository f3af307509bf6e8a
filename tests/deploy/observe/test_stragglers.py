"""Stages that take longer than planned: told when it lasts, and no longer when it is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from edgekit import api
from edgekit.deploy.observe import stragglers
from edgekit.deploy.observe.rates import StageRate
from edgekit.deploy.observe.stragglers import Slowing
from edgekit.plan import Cost, Plan, Stage, Term
from tests.models import local, serial, split
from tests.runtime.bed import tracked

PLAN = Plan("net", (Stage(0, 1, ("pi",)), Stage(1, 2, ("nano", "mini"))))
NET = serial()


def predicted(plan: Plan, seconds: float, badge: str = "measured") -> Plan:
    """With so much for each stage."""
    terms = tuple(Term(f"compute {index}@{stage.devices[0]}", seconds, badge) for index, stage in enumerate(plan.stages))  # type: ignore[arg-type]
    return replace(plan, predicted=Cost(seconds, seconds, 0, terms, (), ()))


def watched(found: Slowing, *busy: tuple[float, float]) -> Iterator[tuple[str, ...]]:
    """Who is slow at moments at which the second replica of the second stage has been so busy with ten frames a second."""
    for now_s, share in busy:
        yield tuple(each.stage for each in found.look([StageRate(0, 0, 10.0, 0.5), StageRate(1, 1, 10.0, share)], now_s))


def test_a_stage_is_slow_once_that_lasts_and_until_it_has_been_over_as_long() -> None:
    found = Slowing(predicted(PLAN, 0.05))
    looks = [(0, 0.9), (29, 0.9), (30, 0.9), (40, 0.6), (69, 0.55), (70, 0.55), (71, 0.6), (80, 0.55), (109, 0.55), (110, 0.55)]
    told = [bool(each) for each in watched(found, *looks)]
    assert told == [False, False, True, True, True, True, True, True, True, False]


def test_a_moment_as_planned_begins_it_anew() -> None:
    assert not any(watched(Slowing(predicted(PLAN, 0.05)), (0, 0.9), (20, 0.5), (40, 0.9), (69, 0.9)))


def test_how_slow_and_since_when() -> None:
    found = Slowing(predicted(PLAN, 0.05))
    assert list(watched(found, (10, 0.8), (50, 0.8))) == [(), ("stage 1@mini",)]
    assert found.look([StageRate(1, 1)], 60.0) == (
        stragglers.Slow("stage 1@mini", pytest.approx(1.6), 50.0),
    )  # it rests, and stays what it was


def test_what_nobody_measured_is_not_compared() -> None:
    for plan in (PLAN, predicted(PLAN, 0.05, "spec")):
        assert not any(watched(Slowing(plan), (0, 1.0), (60, 1.0)))


@pytest.mark.parametrize(("planned_s", "names"), [(1e-9, ("stage 0@a", "stage 1@b")), (10.0, ())])
def test_the_stages_of_a_pipeline_are_compared_with_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planned_s: float, names: tuple[str, ...]
) -> None:
    monkeypatch.setattr(stragglers, "LASTS_S", 0.0)
    with tracked(tmp_path):
        api.deploy_to_stay(
            predicted(split(NET.graph, (0, 2, "a"), (2, 5, "b")), planned_s), NET.graph, NET.model, local("a", "b"), tmp_path
        )
        with api.attach(tmp_path) as pipeline, pipeline.client() as client, api.Observer(tmp_path) as observer:
            observer.status()
            list(client.stream([NET.inputs()] * 20))
            assert tuple(each.stage for each in observer.status().slow) == names
        api.end(tmp_path)
