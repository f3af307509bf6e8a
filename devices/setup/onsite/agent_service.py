"""The agent that stays on the device: kept by the user's own systemd where that outlives the login, else by its pid file and cron."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from devices.setup.onsite.commands import Failed, must, quiet, text

__all__ = [
    "allow_linger",
    "end",
    "end_agent",
    "greeting",
    "remove_cron",
    "remove_unit",
    "start",
    "state",
    "user_systemd",
]

ANSWER_S = 30.0
STOP_S = 10.0
POLL_S = 0.02
CRON_MARK = "# edgekit"


def state(root: Path, unit: Path, given: dict[str, Any]) -> dict[str, Any]:
    """How the agent is kept (``kind``), whether all for that is in place (``ready``), and who answers.

    ``serving``: the stages that a restart would interrupt. ``pages``: HOST:PORT where the agent serves its metrics.
    """
    services, lines, answer = user_systemd(), _cron_lines(), greeting(root)
    told = _answer_to(root, {"type": "logs"}) or {}
    systemd = services and _may_linger()
    if systemd:
        pid = text(root / "agent" / "agent.pid").strip()
        ready = text(unit) == given["text"] and _wants(unit).is_symlink() and _main_pid(unit) == pid
    else:
        ready = answer is not None and (lines is None or given["cron"] in lines)
    return {
        "kind": "systemd" if systemd else "daemon",
        "ready": ready,
        "boots": systemd or lines is not None,
        "reachable": services,
        "greeting": answer,
        "serving": [each["name"] for each in told.get("stages", []) if each["state"] == "serving"],
        "pages": told.get("pages", ""),
    }


def greeting(root: Path) -> list[str] | None:
    """Version and digest of the agent that answers."""
    found = _answer_to(root, {"type": "greet"})
    return [found["version"], found.get("digest", "")] if found and "version" in found else None


def _answer_to(root: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """What the agent answers; None: nothing, or nothing that is understood."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(root / "agent" / "agent.sock"))
            words = json.dumps(request).encode()
            sock.sendall(struct.pack("!IQ", len(words), 0) + words)
            with sock.makefile("rb") as answer:
                count, _ = struct.unpack("!IQ", answer.read(12))
                found = json.loads(answer.read(count))
        return found if isinstance(found, dict) else None
    except (OSError, ValueError, struct.error):
        return None


def start(root: Path, unit: Path, given: dict[str, Any]) -> None:
    """Start it, by systemd where there is a folder for its unit, and wait until it answers."""
    if unit.parent.is_dir() and user_systemd() and _may_linger():
        unit.write_text(given["text"])
        remove_cron()
        must(_systemctl("daemon-reload"))
        must(_systemctl("enable", "--quiet", unit.name))
        must(_systemctl("restart", unit.name))
    else:
        remove_unit(unit)
        _set_cron(given["cron"])
        must([str(root / "venv" / "bin" / "python"), str(root / "agent.pyz"), "serve", "--daemon"], cwd=root)
    end_s = time.monotonic() + ANSWER_S
    while greeting(root) is None:
        if time.monotonic() > end_s:
            said = text(root / "agent" / "agent.log").strip().splitlines()
            raise Failed(f"the agent was started and does not answer within {ANSWER_S:g} s{': ' + _event(said[-1]) if said else ''}")
        time.sleep(POLL_S)


def _event(line: str) -> str:
    """What a line of the log says."""
    try:
        return str(json.loads(line)["event"])
    except (ValueError, TypeError, KeyError):
        return line


def end_agent(root: Path, unit: Path) -> None:
    """End the agent, whoever keeps it."""
    if unit.exists() and user_systemd():
        quiet(_systemctl("stop", unit.name))
    end(text(root / "agent" / "agent.pid").strip())


def end(pid: str) -> None:
    """End a process if it is an agent: the number may have passed on to another one."""
    if not pid.isdecimal() or "agent.pyz" not in text(Path("/proc", pid, "cmdline")):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        end_s = time.monotonic() + STOP_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), number)
        while "agent.pyz" in text(Path("/proc", pid, "cmdline")) and time.monotonic() < end_s:
            time.sleep(POLL_S)


def user_systemd() -> bool:
    """Whether the user has a systemd of their own that answers."""
    return shutil.which("systemctl") is not None and quiet(_systemctl("show-environment")) is not None


def _may_linger() -> bool:
    """Whether the user's services go on without a login."""
    return Path("/var/lib/systemd/linger", pwd.getpwuid(os.getuid()).pw_name).exists()


def allow_linger() -> bool:
    """Let them, where no password is asked for that; whether it was this that changed it."""
    asked = not _may_linger() and quiet(["loginctl", "--no-ask-password", "enable-linger"]) is not None
    return asked and _may_linger()


def remove_unit(unit: Path) -> None:
    """Take the unit away from systemd."""
    there = unit.exists() or _wants(unit).is_symlink()
    for path in (_wants(unit), unit):
        path.unlink(missing_ok=True)
    if there and user_systemd():
        quiet(_systemctl("daemon-reload"))
        quiet(_systemctl("reset-failed", unit.name))


def remove_cron() -> None:
    """Have cron no longer start the agent."""
    _set_cron(None)


def _set_cron(line: str | None) -> None:
    before = _cron_lines()
    if before is None:
        return
    after = [each for each in before if not each.endswith(CRON_MARK)] + ([line] if line else [])
    if after != before and after:
        subprocess.run(["crontab", "-"], input="".join(f"{each}\n" for each in after), text=True, check=False)
    elif after != before:
        quiet(["crontab", "-r"])


def _cron_lines() -> list[str] | None:
    return (quiet(["crontab", "-l"]) or "").splitlines() if shutil.which("crontab") else None


def _systemctl(*words: str) -> list[str]:
    os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")  # a login without PAM has none
    return ["systemctl", "--user", *words]


def _main_pid(unit: Path) -> str:
    return (quiet(_systemctl("show", "--property=MainPID", "--value", unit.name)) or "").strip()


def _wants(unit: Path) -> Path:
    return unit.parent / "default.target.wants" / unit.name
