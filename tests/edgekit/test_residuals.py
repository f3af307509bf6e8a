"""Intervals from earlier errors cover what they promise, and say nothing where too little is known."""

import random

from msgspec import structs

from edgekit.plan import Cost
from edgekit.residuals import Residual, Residuals, interval
from edgekit.trace import Equality, Trace


def cost(latency_s: float, period_s: float) -> Cost:
    return Cost(latency_s, period_s, 0, (), (), ())


TRACE = Trace("g", "p", cost(1.1, 0.5), Equality(0, False, 0.0, 0.0), 4, predicted=cost(1.0, 1.0))


def test_a_certified_pipeline_leaves_its_residuals_and_its_plan_counts_once() -> None:
    found = Residuals().joined(TRACE)
    assert found.found == (Residual("p", 1.1, 0.5),)
    again = found.joined(structs.replace(TRACE, measured=cost(1.2, 0.5))).joined(structs.replace(TRACE, plan="q"))
    assert again.found == (Residual("p", 1.2, 0.5), Residual("q", 1.1, 0.5))
    assert found.joined(structs.replace(TRACE, predicted=None)) == found


def test_fewer_than_nine_pipelines_say_nothing_of_nine_in_ten() -> None:
    assert interval(1.0, [1.0] * 8) is None
    assert interval(1.0, [1.0] * 9) == (1.0, 1.0)


def test_nine_in_ten_lie_in_the_interval() -> None:
    draw = random.Random(0)
    inside = 0
    for _ in range(2000):
        ratios = [draw.lognormvariate(0.01, 0.04) for _ in range(20)]
        found = interval(5.0, ratios)
        assert found is not None
        inside += 5.0 * draw.lognormvariate(0.01, 0.04) in found
    assert 0.89 < inside / 2000 < 0.93  # 19 / 21 expected
