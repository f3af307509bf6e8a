"""Facts of a machine that may have nothing of ours on it yet, asked over a shell."""

import time
from pathlib import Path

import msgspec

import edgekit.runtime.machine
from devices.shell import Shell
from edgekit.errors import DeviceError, FormatError
from edgekit.files import decode
from edgekit.machine import Machine

__all__ = ["machine_of", "script"]

NAMES = ("sources", "processor", "system", "interfaces", "sensors", "machine_probe")
"""Each imports only from those before it."""

BOOT = """\
import sys, types
if sys.version_info < (3, 7):
    sys.exit("Python %d.%d is too old" % sys.version_info[:2])
for name, text in {sources!r}.items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(text, name, "exec"), module.__dict__)
sys.modules[name].main()
"""
PROBE_S = 60.0


def script() -> bytes:
    """The probe as one script for the standard input of a Python."""
    folder = Path(edgekit.runtime.machine.__file__).parent
    package = edgekit.runtime.machine.__name__
    sources = {"edgekit": "", "edgekit.runtime": "", package: ""}
    sources |= {f"{package}.{name}": (folder / f"{name}.py").read_text(encoding="utf-8") for name in NAMES}
    return BOOT.format(sources=sources).encode()


def machine_of(shell: Shell) -> Machine:
    """What machine a shell is on; its clock is compared with ours as the answer comes, for a slow one spends seconds on the question.

    Raises:
        DeviceError: it has no Python that could tell.
    """
    done = shell.run("python3 -", stdin=script(), timeout_s=PROBE_S, check=False)
    end = time.time()
    if done.code:
        said = (done.err.strip().splitlines() or ["it says nothing"])[-1]
        remedy = "install Python 3.10 or newer there, on Debian: sudo apt install python3"
        raise DeviceError(f"{shell.name}: its python3 cannot be used ({said}); {remedy}")
    try:
        machine = decode(done.out.strip().splitlines()[-1].encode(), Machine, "its probe")
    except (FormatError, IndexError) as error:
        raise DeviceError(f"{shell.name}: what its probe says is not understood ({error}); is python3 there the usual one?") from error
    offset = None if machine.time_s is None else machine.time_s - end
    return msgspec.structs.replace(machine, clock_offset_s=offset)
