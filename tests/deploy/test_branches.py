"""A plan that splits branches, deployed: the pipeline answers what the unsplit network does."""

import numpy as np

from edgekit import api
from edgekit.plan import Stage, chain
from edgekit.runtime.engine.executor import run_once
from tests.models import CONV, draw, local, net

#   x ─▶ conv ─a┬▶ conv ─b▶ conv ─d─┐
#               └▶ conv ─c▶ conv ─e─┴▶ add ─▶ y
MIXED = """
    Conv x,w0 > a
    Conv a,w1 > b
    Conv a,w2 > c
    Conv b,w3 > d
    Conv c,w4 > e
    Add d,e > y
    """
WIDE = {"w0": [4, 3, 3, 3], **{f"w{i}": [4, 4, 3, 3] for i in range(1, 5)}}


def test_stages_of_branches_answer_what_the_whole_does() -> None:
    mixed = net(draw(MIXED, {"x": [1, 3, 8, 8]}, {"y": [1, 4, 8, 8]}, WIDE, **CONV))
    makers = {name: unit for unit in range(len(mixed.graph.units)) for node in mixed.graph.unit_nodes(unit) for name in node.outputs}
    order = tuple(dict.fromkeys([makers["a"], makers["b"], makers["d"], makers["c"], makers["e"], makers["y"]]))
    if order == tuple(sorted(order)):  # where left came first already, right does now
        order = tuple(dict.fromkeys([makers["a"], makers["c"], makers["e"], makers["b"], makers["d"], makers["y"]]))
    ordered = mixed.graph.in_order(order)
    plan = chain(ordered, (Stage(0, 3, ("near",)), Stage(3, len(order), ("far",))))
    assert plan.order == order
    with api.deploy(plan, mixed.graph, mixed.model, local("near", "far")) as pipeline, pipeline.client() as client:
        frames = [mixed.inputs(seed) for seed in range(3)]
        for frame, result in zip(frames, client.stream(frames), strict=True):
            expected = run_once(mixed.data, frame)["y"]
            np.testing.assert_allclose(result.value()["y"], expected, rtol=1e-5, atol=1e-6)
