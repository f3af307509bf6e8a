"""What a process takes of its machine's memory, as Linux accounts for it: while a model is loaded and, apart from that, while it runs.

    bytes      load peak ┌┐
                        ┌┘└──┐  ┌──run peak──
         base ──────────┘    └──┘
              Watch(…)       │ loaded(): the peak so far is the load's, and is forgotten
                                          ▲ ran()

Formats: proc_pid_status(5), proc_pid_smaps(5), proc_pid_clear_refs in proc(5), meminfo in proc(5).
"""

import threading
from pathlib import Path
from typing import NamedTuple

from edgekit.runtime.machine.processor import family
from edgekit.runtime.machine.sources import Here

__all__ = ["Peaks", "Watch", "forget_peak", "peak_bytes", "resident_bytes"]

LOOK_S = 0.02
"""How often free memory is looked at while a model is loaded."""


class Peaks(NamedTuple):
    """The most bytes at once while loading and while running; None where the second is hidden behind the first.

    ``proportional`` is what is resident after the run with each page that other processes have too divided among them (PSS);
    ``library`` by how much more of mapped files, which are libraries, was resident then than before.
    """

    load: int
    run: int | None
    proportional: int | None
    library: int

    @property
    def most(self) -> int:
        return max(self.load, self.run or 0)


class Watch:
    """Sees a process load a model and run it; to be made before the first and asked after each.

    Where processor and GPU share their memory (a Jetson), resident pages miss what CUDA holds. There counts, beside them, by how
    much the memory that is available in the whole machine has dropped: context, engine and buffers, and whatever else began
    meanwhile.
    """

    def __init__(self, base_bytes: int, here: Here | None = None):
        here = here or Here()
        self._base_bytes = base_bytes
        self._mapped = _mapped_bytes()
        self._free = _Free(here) if family(here) == "jetson" else None
        self._load = 0
        self._forgotten = False

    def loaded(self) -> None:
        """The model is loaded: what was the most so far is its load peak."""
        self._load = max(peak_bytes(), self._dropped())
        self._forgotten = forget_peak()

    def ran(self) -> Peaks:
        """The model has run, and its arena still holds what it took."""
        run = max(peak_bytes(), self._dropped())
        known = self._forgotten or run > self._load
        return Peaks(self._load, run if known else None, _proportional_bytes(), max(_mapped_bytes() - self._mapped, 0))

    def _dropped(self) -> int:
        return 0 if self._free is None else self._base_bytes + self._free.dropped()


class _Free:
    """Watches the memory available in the machine until it is first asked, and then looks once each time."""

    def __init__(self, here: Here):
        self._here = here
        self._first = self._least = _available_bytes(here)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="free memory", daemon=True)
        self._thread.start()

    def dropped(self) -> int:
        """By how many bytes it had dropped at the worst since it was asked before."""
        self._over.set()
        self._thread.join()
        least, self._least = min(self._least, _available_bytes(self._here)), self._first
        return max(self._first - least, 0)

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            self._least = min(self._least, _available_bytes(self._here))


def resident_bytes() -> int:
    """Bytes resident now."""
    return _bytes_of("/proc/self/status", "VmRSS") or 0


def peak_bytes() -> int:
    """The most bytes that were resident at once since the process began, or since ``forget_peak``."""
    return _bytes_of("/proc/self/status", "VmHWM") or 0


def forget_peak() -> bool:
    """Let the peak begin anew from what is resident now; whether the kernel lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _proportional_bytes() -> int | None:
    try:
        return _bytes_of("/proc/self/smaps_rollup", "Pss")
    except OSError:
        return None


def _mapped_bytes() -> int:
    return _bytes_of("/proc/self/status", "RssFile") or 0


def _available_bytes(here: Here) -> int:
    return _bytes_of(here.path("/proc/meminfo"), "MemAvailable") or 0


def _bytes_of(file: str, field: str) -> int | None:
    for line in Path(file).read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None
