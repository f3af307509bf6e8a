"""One release after the other: what serves goes on to serve until the next has passed all checks, and comes back when asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from devices.authority import Authority
from edgekit import api
from edgekit.cluster import Cluster, Link
from edgekit.deploy.client.client import Client
from edgekit.deploy.serve import deployments
from edgekit.deploy.serve.deployment_record import DEPLOYING, find_record
from edgekit.errors import DeviceError, PromiseError, UsageError
from edgekit.plan import Plan
from tests.models import Net, local, serial, split
from tests.runtime.bed import eventually, marked, tracked

NET = serial()
CLUSTER = local("a", "b")


def plan(cut: int, first: str = "a", second: str = "b") -> Plan:
    return split(NET.graph, (0, cut, first), (cut, 5, second))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with tracked(tmp_path):
        yield tmp_path / "h"
        api.end(tmp_path / "h")


def stay(home: Path, wanted: Plan, cluster: Cluster = CLUSTER, net: Net = NET, take_over: bool = False) -> str:
    """Deploy; the release."""
    return api.deploy_to_stay(wanted, net.graph, net.model, cluster, home, take_over=take_over).release


def serving(home: Path) -> tuple[str, list[str]]:
    """What serves, proven by a frame: its release and the stages."""
    with api.attach(home) as pipeline, pipeline.client() as client:
        (result,) = client.stream([NET.inputs()])
        result.value()
    with api.Observer(home) as observer:
        status = observer.status()
        found = [stage.plan for reply in observer._ask_all().values() for stage in reply.stages]  # type: ignore[union-attr]
    assert set(found) == {status.record.release}, "stages of another release are left"
    assert not status.degraded
    return status.record.release, [f"{stage.name}" for stage in status.stages]


def test_the_next_release_takes_over_and_the_one_before_comes_back(home: Path) -> None:
    releases = [stay(home, plan(cut)) for cut in (1, 2, 3)]
    assert len(set(releases)) == 3
    assert serving(home) == (releases[2], ["stage 0@a", "stage 1@b"])
    assert find_record(home).before == tuple(releases[:2])
    assert api.roll_back(home).plan == plan(2)
    assert serving(home)[0] == releases[1]
    api.roll_back(home)
    assert serving(home)[0] == releases[0]
    with pytest.raises(UsageError, match="nothing was deployed to cluster before what serves now"):
        api.roll_back(home)
    kept = sorted(path.name for path in (home / ".releases").iterdir())
    assert kept == sorted(["models", releases[0]])


def test_certificates_are_renewed_on_demand_and_when_they_are_due_and_those_before_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stay(home, plan(2))
    with api.attach(home) as pipeline:
        stolen = pipeline.target().keys
    assert stay(home, plan(2)) == first
    second = api.deploy_to_stay(plan(2), NET.graph, NET.model, CLUSTER, home, renew=True).release
    assert serving(home)[0] == second != first
    with api.attach(home) as pipeline, pytest.raises(DeviceError, match="its certificate is not accepted"):
        Client(pipeline.target()._replace(keys=stolen))
    with api.attach(home) as pipeline, pytest.raises(DeviceError, match="(?i)unknown.ca|did not answer"):
        theirs = pipeline.target().keys
        assert stolen is not None and theirs is not None
        Client(pipeline.target()._replace(keys=replace(stolen, authority=theirs.authority)))
    assert [folder.name for folder in (home / ".authority").iterdir()] == [second]
    with monkeypatch.context() as patch:
        patch.setattr(Authority, "due", True)
        third = stay(home, plan(2))
    assert third != second


def test_a_release_that_computes_something_else_leaves_the_old_one_serving(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stay(home, plan(2))

    def refuse(*_: object) -> None:
        raise PromiseError("the pipeline differs")

    with monkeypatch.context() as patch, pytest.raises(PromiseError):
        patch.setattr("edgekit.deploy.serve.pipeline._check", refuse)
        stay(home, plan(3))
    assert serving(home)[0] == first
    assert not (home / DEPLOYING).exists()


def test_a_release_whose_device_does_not_start_leaves_the_old_one_serving(home: Path) -> None:
    first = stay(home, plan(2))
    before = len(marked())
    with pytest.raises(DeviceError):
        stay(
            home,
            plan(2, "a", "c"),
            Cluster((*local("a", "c").devices[:1], local("c").devices[0].__class__("c", cores=(4095,))), local("a").links),
        )
    assert serving(home)[0] == first
    eventually(lambda: len(marked()) == before)  # of the device that only it used, no agent is left


def test_a_device_that_is_no_longer_used_is_left(home: Path) -> None:
    stay(home, plan(2))
    last = stay(home, plan(2, "a", "c"), local("a", "c"))
    assert serving(home) == (last, ["stage 0@a", "stage 1@c"])
    api.roll_back(home)
    assert serving(home)[1] == ["stage 0@a", "stage 1@b"]


def test_a_deployment_that_was_killed_half_way_is_cleared_away_by_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stay(home, plan(2))

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(deployments, "_clear", lambda home: None)  # as if nothing could be done any more
        patch.setattr("edgekit.deploy.serve.pipeline._check", die)
        stay(home, plan(3))
    assert (home / DEPLOYING).exists()
    second = stay(home, plan(1))
    assert serving(home)[0] == second != first


def test_links_that_are_shaped_end_with_their_release(home: Path) -> None:
    shaped = Cluster(CLUSTER.devices, (Link("*", "*", 0.001, 1e7, shaped=True),))
    stay(home, plan(2), shaped)
    before = [line for line in marked().values() if "devices.shaper" in line]
    last = stay(home, plan(3), shaped)
    assert serving(home)[0] == last
    eventually(lambda: len([line for line in marked().values() if "devices.shaper" in line]) == len(before) == 1)


def test_what_is_kept_of_releases_is_no_more_than_needed(home: Path) -> None:
    releases = [stay(home, plan(cut)) for cut in (1, 2, 3, 4, 1, 2)]
    kept = {path.name for path in (home / ".releases").iterdir()}
    assert kept == {"models", *releases[-4:]}
    api.end(home)
    assert not (home / ".releases").exists()


def test_what_another_edgekit_kept_is_not_brought_back_and_is_replaced(home: Path) -> None:
    first, second = stay(home, plan(1)), stay(home, plan(2))
    for release in (first, second):
        path = home / ".releases" / release / "release.json"
        path.write_text(path.read_text().replace('"version": 2', '"version": 1'))
    with pytest.raises(UsageError, match="was kept by another edgekit .* got 1; .*; deploy its plan instead"):
        api.roll_back(home)
    assert serving(home)[0] == second
    third = stay(home, plan(2))
    assert third != second and serving(home)[0] == third
    assert {path.name for path in (home / ".releases").iterdir()} == {"models", third}
