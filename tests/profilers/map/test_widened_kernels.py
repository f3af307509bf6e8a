"""Casts that onnxruntime put in, told from those of the network itself."""

import pytest

from profilers.map.widened_kernels import widened
from tests.profilers.drawing import draw, graph

HALF = graph("into:Cast x>a", "c1:Conv a>b  r1:Relu b>c", "c2:Conv c>d", "out:Cast d>y")


@pytest.mark.parametrize(
    ("optimized", "count"),
    [
        ("into:Cast x>a  c1:FusedConv a>c  c2:Conv c>d  out:Cast d>y", 0),
        # each kernel between Casts of its own
        (
            """into:Cast x>a
            InsertedPrecisionFreeCast_a:Cast a>InsertedPrecisionFreeCast_a
            c1:FusedConv InsertedPrecisionFreeCast_a>InsertedPrecisionFreeCast_c
            InsertedPrecisionFreeCast_c:Cast InsertedPrecisionFreeCast_c>c
            c2:Conv c>d  out:Cast d>y""",
            3,
        ),
        # all Casts optimised away, and the precision with them
        ("c1_nchwc:Conv x>t1  c2:Conv t1>InsertedPrecisionFreeCast_d  out:Cast InsertedPrecisionFreeCast_d>y", 2),
        # named otherwise
        ("into:Cast x>a  c1:FusedConv a>c  Cast_7:Cast c>t1  c2:Conv t1>t2  Cast_8:Cast t2>d  out:Cast d>y", 2),
    ],
    ids=["supported", "between casts", "folded", "other names"],
)
def test_kernels_that_compute_in_another_precision_are_counted(optimized: str, count: int) -> None:
    assert widened(HALF, draw(optimized)) == count
