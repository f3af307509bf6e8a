"""How numbers of things are said in messages and tables."""

__all__ = ["counted"]


def counted(number: int, thing: str) -> str:
    """A number with the noun that fits it.

    >>> counted(1, "plan"), counted(3, "plan"), counted(2, "process")
    ('1 plan', '3 plans', '2 processes')
    """
    if number == 1:
        return f"{number} {thing}"
    return f"{number} {thing}{'es' if thing.endswith(('s', 'x', 'ch', 'sh')) else 's'}"
