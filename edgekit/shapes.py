"""Inputs as one writes them on a command line."""

import re
from typing import NamedTuple

from edgekit.errors import UsageError
from edgekit.graph import ITEMSIZE

__all__ = ["InputShape", "parse_input", "parse_shape"]


class InputShape(NamedTuple):
    """An input's name and its type, None where they are left out, and its shape."""

    name: str | None
    shape: tuple[int, ...]
    dtype: str | None = None


def parse_shape(text: str) -> tuple[str | None, tuple[int, ...]]:
    """An input's name, None where it is left out, and its shape.

    >>> parse_shape("1x3x224x224")
    (None, (1, 3, 224, 224))
    >>> parse_shape("tokens:1x128")
    ('tokens', (1, 128))

    Raises:
        UsageError: not whole positive sizes with an x between them.
    """
    name, shape, _ = parse_input(text)
    return name, shape


def parse_input(text: str) -> InputShape:
    """The same with the type of its values, where one is given.

    >>> parse_input("ids:int64:1x16")
    InputShape(name='ids', shape=(1, 16), dtype='int64')

    Raises:
        UsageError: not whole positive sizes with an x between them.
    """
    before, colon, sizes = text.rpartition(":")  # names in a network may hold colons themselves
    if (colon and not before) or not re.fullmatch(r"0*[1-9][0-9]*(x0*[1-9][0-9]*)*", sizes, re.ASCII):
        raise UsageError(
            f"input {text!r}: expected a shape such as 1x3x224x224, NAME:1x3x224x224 or NAME:int64:1x16, with positive sizes; write it so"
        )
    name, _, last = before.rpartition(":")
    dtype = last if last in ITEMSIZE else None
    return InputShape((name if dtype else before) or None, tuple(map(int, sizes.split("x"))), dtype)
