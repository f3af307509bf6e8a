"""Operating system, Python, memory, disk, user and clock.

Formats: os-release(5), proc(5), loginctl(1), and the release file of NVIDIA's Linux for Tegra.
"""

from __future__ import annotations

import getpass
import hashlib
import importlib.util
import os
import platform
import shutil
import socket
import sys
from typing import Any

from edgekit.runtime.machine.sources import Here

__all__ = ["system"]


def system(here: Here) -> dict[str, Any]:
    """The fields of a Machine that its software fills."""
    return {
        "hostname": socket.gethostname(),
        "system": _release(here),
        "kernel": f"{platform.system()} {platform.release()}",
        "libc": _libc(),
        "python": platform.python_version(),
        "python_path": sys.executable or None,
        "venv": importlib.util.find_spec("venv") is not None,
        "ensurepip": importlib.util.find_spec("ensurepip") is not None,
        "memory_bytes": _memory(here, "MemTotal"),
        "available_bytes": _memory(here, "MemAvailable"),
        "uptime_s": _first(here, "/proc/uptime", "uptime_s"),
        "load_average": _first(here, "/proc/loadavg", "load_average"),
        "boot": here.text("/proc/sys/kernel/random/boot_id", "boot"),
        "identity": _hashed(here.text("/etc/machine-id", "identity")),
        **_user(here),
        **_disk(here),
    }


def _release(here: Here) -> str | None:
    for line in here.lines("/etc/os-release"):
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip("\"'")
    here.lacks("system", "/etc/os-release: no PRETTY_NAME")
    return None


def _libc() -> str | None:
    name, version = platform.libc_ver()
    if name:
        return f"{name} {version}"
    return "musl" if os.path.isdir("/lib") and any(file.startswith("ld-musl") for file in os.listdir("/lib")) else None


def _memory(here: Here, name: str) -> int | None:
    for line in here.lines("/proc/meminfo"):
        words = line.split()
        if len(words) > 1 and words[0] == name + ":" and words[1].isdigit():
            return int(words[1]) * 1024
    here.lacks("memory_bytes" if name == "MemTotal" else "available_bytes", "/proc/meminfo: no " + name)
    return None


def _first(here: Here, path: str, field: str) -> float | None:
    words = (here.text(path, field) or "").split()
    try:
        return float(words[0]) if words else None
    except ValueError:
        here.lacks(field, f"{path}: not a number: {words[0][:40]!r}")
        return None


def _hashed(identity: str | None) -> str | None:
    """machine-id(5) asks for the number itself not to be handed out."""
    return hashlib.sha256(("edgekit" + identity).encode()).hexdigest()[:32] if identity else None


def _user(here: Here) -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        user = str(os.getuid())
    linger = os.path.exists(here.path("/var/lib/systemd/linger/" + user))
    services = here.command("systemctl --user show --property=Version", "user_services")
    return {"user": user, "uid": os.getuid(), "user_services": bool(services), "linger": linger}


def _disk(here: Here) -> dict[str, Any]:
    home = os.path.expanduser("~")
    try:
        total, _, free = shutil.disk_usage(home)
    except OSError as error:
        here.lacks("disk_bytes", f"{home}: {error.strerror}")
        return {"home": home}
    return {"home": home, "home_writable": os.access(home, os.W_OK | os.X_OK), "disk_bytes": total, "disk_free_bytes": free}
