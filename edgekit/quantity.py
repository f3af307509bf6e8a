"""Value types shared by the nouns: SI quantities that are finite and not negative, and names."""

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

__all__ = ["TRUST", "Badge", "Bytes", "Count", "Name", "Rate", "Seconds", "Share", "least", "mb", "ms", "three"]

Seconds = Annotated[float, Meta(ge=0)]
Rate = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Bytes = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]

Badge = Literal["spec", "estimated", "measured", "certified"]
"""Where a number comes from: a data sheet or model, kernels, that very segment, the running pipeline."""

TRUST: tuple[Badge, ...] = ("spec", "estimated", "measured", "certified")
"""Badges, the least trusted first."""


def least(badges: Iterable[Badge]) -> Badge:
    """The badge of a whole that is made of such parts."""
    return min(badges, key=TRUST.index)


def mb(nbytes: float) -> str:
    """Bytes as kB or MB, of 1000 and 1000000 bytes.

    >>> mb(3_100_000), mb(900)
    ('3.1 MB', '0.9 kB')
    """
    return f"{nbytes / 1e6:.1f} MB" if nbytes >= 1e6 else f"{nbytes / 1e3:.1f} kB"


def three(value: float) -> str:
    """A number with three significant digits, and without an exponent where it is large.

    >>> three(0.01234), three(56.04), three(1234.5)
    ('0.0123', '56', '1234')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ms(seconds: float) -> str:
    """Seconds as milliseconds, three significant digits.

    >>> ms(0.0123456)
    '12.3 ms'
    >>> ms(1.5)
    '1500 ms'
    """
    return f"{three(seconds * 1e3)} ms"
