"""Every way to write the inputs of a network, and what is said of a wrong one."""

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.input import Input, inputs_of

IDS = np.zeros((1, 16), np.int64)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), ()),
        ((1, 3, 8, 8), (Input(None, (1, 3, 8, 8)),)),
        ([1, 3, 8, 8], (Input(None, (1, 3, 8, 8)),)),
        ("1x3x8x8", (Input(None, (1, 3, 8, 8)),)),
        ("ids:1x16", (Input("ids", (1, 16)),)),
        ([(1, 3), (1, 4)], (Input(None, (1, 3)), Input(None, (1, 4)))),
        (["1x3", "b:1x4"], (Input(None, (1, 3)), Input("b", (1, 4)))),
        ({"a": (1, 3), "b": "1x4"}, (Input("a", (1, 3)), Input("b", (1, 4)))),
        ((np.int64(1), np.int64(3)), (Input(None, (1, 3)),)),
        (IDS, (Input(None, (1, 16), value=IDS),)),
        ({"ids": IDS}, (Input("ids", (1, 16), value=IDS),)),
        ([IDS, (1, 3)], (Input(None, (1, 16), value=IDS), Input(None, (1, 3)))),
    ],
)
def test_inputs_are_written_in_many_ways(given: object, expected: tuple[Input, ...]) -> None:
    assert inputs_of(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (224, r"expected a shape or an example of an input, got 224; write \(1, 3, 224, 224\)"),
        ([(1, 3), None], "expected a shape or an example of an input, got None"),
        ((1, 0, 8), r"expected positive sizes, got \(1, 0, 8\); write"),
        ((1, 3.0), "expected a shape or an example of an input, got 1; write"),
        ({0: (1, 3)}, "expected names of inputs as texts, got 0; write"),
        ("1,3,8,8", "expected a shape such as 1x3x224x224"),
    ],
)
def test_inputs_that_are_written_wrongly_get_an_example(given: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        inputs_of(given)
