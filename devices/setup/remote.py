"""Set-up's words to a device: a verb for the script that its own Python runs, and what it answers; one set-up at a time."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shlex import quote
from typing import Any

from devices.setup.onsite import script
from devices.setup.paths import ROOT, UNIT
from devices.setup.requirements import NEWEST_PYTHON, OLDEST_PYTHON
from devices.setup.service_unit import CRON_LINE, UNIT_TEXT
from devices.shell import Shell, Stream
from edgekit.errors import DeviceError

__all__ = ["NotDone", "Unfit", "alone", "tell_device"]

UNFIT = 97
FIT = f"import sys; sys.exit(not {OLDEST_PYTHON} <= sys.version_info[:2] <= {NEWEST_PYTHON} or sys.maxsize < 2**32)"
CHOOSE = f"""\
PATH="$PATH:$HOME/.local/bin"
for python in python3 python3.13 python3.12 python3.11 python3.14 python3.10; do
    "$python" -c '{FIT}' 2>/dev/null && exec "$python" -B "$@"
done
exit {UNFIT}
"""
"""The system's own Python is preferred; one beside it may lie where uv and pyenv put theirs."""

LEASE_S = 10.0
"""What is heard of nobody for so long is over: its cable was pulled."""

HOLD = f"""\
import fcntl, os, select
try:
    home = os.open(os.path.expanduser("~"), os.O_RDONLY)
    try:
        fcntl.flock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting", flush=True)
        fcntl.flock(home, fcntl.LOCK_EX)
except OSError:  # some network file systems cannot
    pass
print("held", flush=True)
while select.select([0], [], [], {LEASE_S})[0] and os.read(0, 64):
    pass
"""

GIVEN = {"root": ROOT, "unit": UNIT, "text": UNIT_TEXT, "cron": CRON_LINE}


class NotDone(DeviceError):
    """What a device says, at length, that did not manage to do something."""


class Unfit(DeviceError):
    """No Python there is one that we can use."""


def tell_device(shell: Shell, verb: str, timeout_s: float = 60.0, **given: Any) -> dict[str, Any]:
    """Have a verb of ``devices.setup.onsite`` done.

    Raises:
        Unfit: the device has no 64-bit Python of a version that is served.
        NotDone: the device did not manage.
        DeviceError: the connection was lost.
    """
    done = shell.run(_python("-", verb, json.dumps(GIVEN | given)), stdin=script(), timeout_s=timeout_s, check=False)
    if done.code == UNFIT:
        raise Unfit(f"{shell.name}: no 64-bit Python from 3.10 to 3.14 was found there")
    try:
        answer: dict[str, Any] = json.loads(done.out.strip().splitlines()[-1])  # a login shell may have printed before it
    except (ValueError, IndexError) as error:
        said = (done.err or done.out).strip().splitlines() or [f"exit code {done.code}"]
        raise DeviceError(f"{shell.name}: set-up was broken off there ({said[-1]}); run it again") from error
    if "failed" in answer:
        raise NotDone(answer["failed"])
    return answer


@contextmanager
def alone(shell: Shell, tell: Callable[[str], None]) -> Iterator[None]:
    """Wait until nobody else sets this device up, and keep others from it.

    Raises:
        DeviceError: the connection was lost.
    """
    stream, over = shell.open(_python("-c", HOLD)), threading.Event()
    pulse = threading.Thread(target=_beat, args=(stream, over), name=f"lease {shell.name}", daemon=True)
    try:
        seen = b""
        while b"held" not in seen:
            if not (piece := stream.recv(4096)):
                raise DeviceError(f"{shell.name}: the connection was lost; see that the machine is up, then do it again")
            seen += piece
            if b"waiting" in piece:
                tell("waiting until another set-up there is done")
        pulse.start()
        yield
    finally:
        over.set()
        stream.close()
        if pulse.is_alive():
            pulse.join()


def _beat(stream: Stream, over: threading.Event) -> None:
    while not over.wait(LEASE_S / 4):
        try:
            stream.sendall(b".")
        except OSError:
            return


def _python(*arguments: str) -> str:
    """The command line for a Python that fits."""
    return " ".join(["sh", "-c", quote(CHOOSE), "sh", *map(quote, arguments)])
