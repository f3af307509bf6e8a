"""The file form of the nouns: JSON that names its format and version, and is checked on the way in and out."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgekit.conditions import from_older
from edgekit.errors import FormatError, UsageError
from edgekit.mistakes import line_of, mistake

__all__ = ["convert", "decode", "encode", "read", "read_toml", "write", "write_bytes"]

Noun = TypeVar("Noun", bound=msgspec.Struct)


def encode(noun: msgspec.Struct) -> bytes:
    """The JSON form of a noun.

    Raises:
        FormatError: it holds a value that JSON or the noun's own bounds do not admit, such as NaN or a numpy scalar.
    """
    try:
        data = msgspec.json.encode(noun)
        same = msgspec.json.decode(data, type=type(noun)) == noun
    except (msgspec.ValidationError, TypeError, UnicodeEncodeError) as error:
        raise FormatError(f"a {_tag(type(noun))} holds a value out of its bounds: {error}") from error
    if not same:
        raise FormatError(f"a {_tag(type(noun))} holds a value that JSON cannot carry: NaN, infinity, or a list where a tuple belongs")
    return msgspec.json.format(data, indent=1)


def decode(data: bytes, kind: type[Noun], source: str = "this file") -> Noun:
    """Read a noun of type ``kind`` back.

    Raises:
        FormatError: not JSON, another format, a newer version, or fields that do not fit.
    """
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{source}: expected {_tag(kind)} as JSON, got something else ({error}); is it the right file?") from error
    return convert(raw, kind, source)


def convert(raw: Any, kind: type[Noun], source: str, *, text: str | None = None) -> Noun:
    """As ``decode``, from plain dicts and lists; ``text`` is the TOML file that they were read from, to name lines of it."""
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != _tag(kind):
        raise FormatError(f"{source}: expected format {_tag(kind)!r}, got {found!r}; pass a file of that kind")
    newest = next(field.default for field in msgspec.structs.fields(kind) if field.name == "version")
    version = raw.get("version")
    if version != newest:
        remedy = "install a newer edgekit" if isinstance(version, int) and version > newest else "make the file again with this edgekit"
        raise FormatError(f"{source}: {_tag(kind)} version {newest} is what this edgekit reads, got {version!r}; {remedy}")
    if isinstance(conditions := raw.get("conditions"), dict):
        raw = {**raw, "conditions": from_older(conditions)}
    try:
        return msgspec.convert(raw, kind)
    except (msgspec.ValidationError, UsageError) as error:
        if text is None or isinstance(error, UsageError):
            raise FormatError(f"{source}: not a valid {_tag(kind)}: {error}") from error
        said, place = mistake(str(error), kind, raw)
        line = line_of(text, place)
        raise FormatError(f"{source}: {f'line {line}: ' if line else ''}{said}") from error


def read(path: str | Path, kind: type[Noun]) -> Noun:
    """Read a noun from a JSON file, or from a TOML file where the name says so."""
    if Path(path).suffix != ".toml":
        return decode(_load(path), kind, str(path))
    raw, text = read_toml(path)
    return convert({"format": _tag(kind), "version": 1, **raw}, kind, str(path), text=text)


def read_toml(path: str | Path) -> tuple[dict[str, Any], str]:
    """What a TOML file says, as plain dicts and lists, and its text."""
    import tomllib

    try:
        text = _load(path).decode()
        return tomllib.loads(text), text
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        twice = re.search(r"Cannot declare \('(\w+)',\)", str(error))
        hint = f"; for several of them write [[{twice[1]}]] above each" if twice else ""
        raise FormatError(f"{path}: not valid TOML: {error}{hint}") from error


def write(path: str | Path, noun: msgspec.Struct) -> None:
    """Write a noun's JSON file; it appears whole or not at all."""
    write_bytes(path, encode(noun) + b"\n")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        FormatError: the place cannot be written to.
    """
    part = Path(f"{path}.{os.getpid()}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    finally:
        with contextlib.suppress(OSError):  # where the folder cannot be made there is no part either
            part.unlink(missing_ok=True)


def _load(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)
