"""Shapes on the command line."""

import pytest

from edgekit.errors import UsageError
from edgekit.shapes import InputShape, parse_input, parse_shape


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1x3x224x224", (None, (1, 3, 224, 224))),
        ("7", (None, (7,))),
        ("x:1x3", ("x", (1, 3))),
        ("serving_default_x:0:1x3", ("serving_default_x:0", (1, 3))),
    ],
)
def test_a_shape_may_carry_the_name_of_its_input(text, shape):
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "x", "1x", "x3", "1x0x3", "1x-1", "1,3", "1x 3", ":1x3", "x:", "nx3", "1X3", "١x3", "1x3\n"])
def test_what_is_no_shape_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="such as 1x3x224x224"):
        parse_shape(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ids:int64:1x16", InputShape("ids", (1, 16), "int64")),
        ("int64:1x16", InputShape(None, (1, 16), "int64")),
        ("x:0:bool:4", InputShape("x:0", (4,), "bool")),
        ("x:1x3", InputShape("x", (1, 3))),
        ("int:1x3", InputShape("int", (1, 3))),
    ],
)
def test_a_shape_may_carry_the_type_of_its_input(text: str, found: InputShape) -> None:
    assert parse_input(text) == found
