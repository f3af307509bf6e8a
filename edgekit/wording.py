"""How quantities and counts are written in messages and tables."""

__all__ = ["counted", "kib", "mb", "ms", "three"]


def counted(number: int, thing: str) -> str:
    """A number with the noun that fits it.

    >>> counted(1, "plan"), counted(3, "plan"), counted(2, "process")
    ('1 plan', '3 plans', '2 processes')
    """
    if number == 1:
        return f"{number} {thing}"
    return f"{number} {thing}{'es' if thing.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


def mb(nbytes: float) -> str:
    """Bytes in MB, or in kB and B where they are few, of 1000 each.

    >>> mb(3_100_000), mb(52_340), mb(16)
    ('3.1 MB', '52.3 kB', '16 B')
    """
    return f"{nbytes / 1e6:.1f} MB" if nbytes >= 1e6 else f"{nbytes / 1e3:.1f} kB" if nbytes >= 1e3 else f"{nbytes:.0f} B"


def kib(nbytes: float) -> str:
    """Bytes of a microcontroller in MiB, KiB or B, of 1024 each.

    >>> kib(4 << 20), kib(37_248), kib(16)
    ('4 MiB', '36.4 KiB', '16 B')
    """
    size, word = (1 << 20, "MiB") if nbytes >= 1 << 20 else (1 << 10, "KiB") if nbytes >= 1 << 10 else (1, "B")
    return f"{three(nbytes / size)} {word}"


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
