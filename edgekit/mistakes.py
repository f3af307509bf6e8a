"""What is wrong with a TOML file, in the words of the person who wrote it.

Tables are called as they are written there, and counted from 1: ``[[devices]] number 1``.
"""

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import inspect

__all__ = ["guess", "line_of", "mistake"]

Place = tuple[str | int, ...]
"""Names of fields and, from zero, numbers in lists: the way from the top of a file to one value."""

_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table of fields",
}
_BOUNDS = {">": "above", ">=": "of at least", "<": "below", "<=": "of at most"}
_HIDDEN = ("format", "version")


def guess(name: str, known: Sequence[str], form: str = "{}") -> str:
    """``; did you mean speed?`` where one of the known names is like this one, else nothing.

    >>> guess("sped", ["name", "speed"])
    '; did you mean speed?'
    """
    close = get_close_matches(name, known, 1)
    return f"; did you mean {form.format(close[0])}?" if close else ""


def mistake(error: str, kind: type[msgspec.Struct], raw: Any) -> tuple[str, Place]:
    """A message of msgspec about ``raw``, in plain words, and the place that it is about."""
    said, _, at = error.rpartition(" - at `$")
    said, place = (said, _place(at)) if said else (error, ())
    if found := re.fullmatch(r"Object contains unknown field `(.*)`", said):
        return _unknown(found[1], place, kind, raw), (*place, found[1])
    if found := re.fullmatch(r"Object missing required field `(.*)`", said):
        return f"{found[1]} is missing{_inside(place)}", place
    value = _value(raw, place)
    got = _WORDS["array" if isinstance(value, list) else "object"]
    if not isinstance(value, dict | list):
        got = json.dumps(value, default=str)
    if found := re.match(r"Expected `([^`]*)`(?: (of length )?([<>]=?) (\S+))?", said):
        return f"{_subject(place)}: expected {_wanted(*found.groups())}, got {got}", place
    if said.startswith("Invalid enum value"):
        wanted = _type_at(kind, place)
        values = wanted.values if isinstance(wanted, inspect.LiteralType) else ()
        return f"{_subject(place)}: expected one of {', '.join(map(str, values))}, got {got}", place
    return f"{_subject(place)}: {said}" if place else said, place


def line_of(text: str, place: Place) -> int | None:
    """The line of a TOML file where a field or its table stands; None: it was not found."""
    names = [name for name in place if isinstance(name, str)]
    if not names:
        return None
    number = next((part for part in place if isinstance(part, int)), None)
    inside, count, table = number is None, -1, None
    field = re.compile(rf"""(^|[\s{{,.])["']?{re.escape(names[-1])}["']?\s*[=.]""")
    for line, words in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?\s*([\w-]+)", words):
            if number is not None:
                count += header[1] == names[0] and words.lstrip().startswith("[[")
                inside = header[1] == names[0] and count == number
                table = line if inside and table is None else table
            elif header[1] == names[-1]:
                return line
        if inside and field.search(words.partition("#")[0]):
            return line
    return table


def _place(at: str) -> Place:
    """
    >>> _place(".devices[0].speed`")
    ('devices', 0, 'speed')
    """
    return tuple(name or int(number) for name, number in re.findall(r"\.([\w-]+)|\[(\d+)\]", at))


def _unknown(name: str, place: Place, kind: type[msgspec.Struct], raw: Any) -> str:
    wanted = _type_at(kind, place)
    fields = wanted.fields if isinstance(wanted, inspect.StructType) else ()
    known = [field.encode_name for field in fields if field.encode_name not in _HIDDEN]
    value = _value(raw, (*place, name))
    tables = isinstance(value, list) and any(isinstance(each, dict) for each in value)
    form = "[[{}]]" if tables else "{}"
    told = f"unknown field {form.format(name)}{_inside(place)}{guess(name, known, form) or ';'}"
    return f"{told} fields: {', '.join(known)}"


def _wanted(kinds: str, length: str | None, sign: str | None, bound: str | None) -> str:
    words = " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | ") if kind != "null")
    if length:
        return f"{words} that is not empty"
    return f"{words} {_BOUNDS[sign]} {float(bound or 0):g}" if sign else words


def _subject(place: Place) -> str:
    """``speed in [[devices]] number 1``"""
    if not place:
        return "the file"
    *outside, last = place
    if isinstance(last, int):
        if len(outside) == 1:
            return f"[[{outside[0]}]] number {last + 1}"
        return f"number {last + 1} of {_subject(tuple(outside))}"
    return f"{last}{_inside(tuple(outside))}"


def _inside(place: Place) -> str:
    return f" in {_subject(place)}" if place else ""


def _value(raw: Any, place: Place) -> Any:
    for part in place:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _type_at(kind: type[msgspec.Struct], place: Place) -> inspect.Type:
    """What is expected at a place."""
    found: inspect.Type = inspect.type_info(kind)
    for part in place:
        found = _inner(found, part)
    return found


def _inner(outer: inspect.Type, part: str | int) -> inspect.Type:
    """What is expected in a field of a table, or in a list."""
    for each in outer.types if isinstance(outer, inspect.UnionType) else (outer,):
        if isinstance(each, inspect.StructType):
            return next(
                (_plain(field.type) for field in each.fields if field.encode_name == part),
                inspect.AnyType(),
            )
        if isinstance(each, inspect.VarTupleType | inspect.ListType):
            return _plain(each.item_type)
        if isinstance(each, inspect.TupleType) and isinstance(part, int):
            return _plain(each.item_types[part])
    return inspect.AnyType()


def _plain(found: inspect.Type) -> inspect.Type:
    """A type that may also be absent, without that."""
    if isinstance(found, inspect.UnionType):
        present = [each for each in found.types if not isinstance(each, inspect.NoneType)]
        return present[0] if len(present) == 1 else found
    return found
