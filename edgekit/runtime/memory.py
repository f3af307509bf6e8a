"""Resident memory of this process, as Linux accounts for it."""

from pathlib import Path

__all__ = ["peak_bytes", "resident_bytes"]


def resident_bytes() -> int:
    """Bytes resident now."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """The most bytes that were resident at once since the process began."""
    return _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0
