"""The demo says in ten numbered lines what it did."""

import re
from pathlib import Path

import pytest

from edgekit import api
from edgekit.api.demo import CLUSTER, Demo
from edgekit.cluster import ANY, Link
from tests.models import serial, simulated


def test_the_demo_tells_what_it_did_in_ten_points(capsys: pytest.CaptureFixture[str]) -> None:
    from edgekit.cli.story import tell_story

    net, cluster = serial(3), simulated("near", "far", links=(Link(ANY, ANY, 1e-4, 1e6),))
    front, _ = api.partition(net.graph, net.model, cluster, api.profile(net.graph, net.model, cluster, budget_s=0.1))
    plan = front.knee()
    with api.deploy(plan, net.graph, net.model, cluster) as pipeline:
        trace = api.verify(pipeline, seconds=0.1)
    evaluated = api.Evaluated(front, ())
    tell_story(Demo(net.graph, CLUSTER, 200, 0.935, evaluated, plan, trace, [Path("runs/demo/pareto.png")]))
    told = capsys.readouterr().out
    assert [int(number) for number in re.findall(r"(?m)^(\d+)\. ", told)] == list(range(1, 11))
    assert "of 200 digits it never saw, it reads 93.5% right" in told
    assert "board (8% of a core, at most 91.0 MB), gateway (20% of a core), server (25% of a core)" in told
    assert "held to 12 to 200 Mbit/s" in told and plan.describe() in told
    assert "the run is kept in runs/demo" in told and told.splitlines()[-1].startswith("next, your own network: edgekit init")
