"""Shapes as one writes them on a command line."""

import re

from edgekit.errors import UsageError

__all__ = ["parse_shape"]


def parse_shape(text: str) -> tuple[str | None, tuple[int, ...]]:
    """An input's name, None where it is left out, and its shape.

    >>> parse_shape("1x3x224x224")
    (None, (1, 3, 224, 224))
    >>> parse_shape("tokens:1x128")
    ('tokens', (1, 128))

    Raises:
        UsageError: not whole positive sizes with an x between them.
    """
    name, colon, sizes = text.rpartition(":")  # names in a network may hold colons themselves
    if (colon and not name) or not re.fullmatch(r"0*[1-9][0-9]*(x0*[1-9][0-9]*)*", sizes, re.ASCII):
        raise UsageError(f"input {text!r}: expected a shape such as 1x3x224x224 or NAME:1x3x224x224, with positive sizes; write it so")
    return name or None, tuple(map(int, sizes.split("x")))
