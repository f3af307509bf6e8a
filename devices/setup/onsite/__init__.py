"""The hands of set-up on a device: modules of the standard library alone, run there by the device's own Python.

controller ──SSH──▶ python3 - VERB '{"root": …}' < script()        answers with one line of JSON

They are written for Python 3.10. Nothing is left on the device by running them.
"""

from pathlib import Path

__all__ = ["script"]

NAMES = ("commands", "agent_service", "inspection", "work")
"""Each imports only from those before it."""

BOOT = """\
import sys, types
for name, text in {sources!r}.items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(text, name, "exec"), module.__dict__)
sys.modules[name].main(sys.argv[1], sys.argv[2])
"""


def script() -> bytes:
    """All of it as one script for standard input."""
    package = Path(__file__).parent
    sources = {f"{__name__}.{name}": (package / f"{name}.py").read_text(encoding="utf-8") for name in NAMES}
    parents = {"devices": "", "devices.setup": "", __name__: ""}
    return BOOT.format(sources=parents | sources).encode()
