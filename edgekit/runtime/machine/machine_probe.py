"""All facts of a machine in one dictionary, in the form of the noun Machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from edgekit.runtime.machine.interfaces import interfaces
from edgekit.runtime.machine.processor import processor
from edgekit.runtime.machine.sensors import sensing
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.machine.system import system

__all__ = ["main", "probe"]


def probe(here: Here) -> dict[str, Any]:
    """What can be found out; whatever goes wrong in one room leaves the others as they are."""
    found: dict[str, Any] = {"format": "edgekit.machine", "version": 1}

    def add(room: str, look: Callable[[], dict[str, Any]]) -> None:
        try:
            found.update(look())
        except Exception as error:  # a file that nobody has thought of must not hide the rest
            here.lacks(room, f"{type(error).__name__}: {error}")

    add("processor", lambda: processor(here))
    add("system", lambda: system(here))
    add("sensors", lambda: sensing(here, found.get("family", "other")))
    add("interfaces", lambda: {"interfaces": interfaces(here)})
    found["time_s"] = time.time()  # last, so that hardly anything lies between it and whoever compares it with another clock
    found["missing"] = [{"field": field, "reason": reason} for field, reason in sorted(here.missing.items())]
    return found


def main() -> None:
    """Print it as one line."""
    print(json.dumps(probe(Here())))
