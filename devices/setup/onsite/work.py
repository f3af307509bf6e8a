"""What set-up does on the device. Whoever comes second waits for the first, and finds the work done."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devices.setup.onsite.agent_service import allow_linger, end, end_agent, remove_cron, remove_unit, start, state, user_systemd
from devices.setup.onsite.commands import Failed, must, text
from devices.setup.onsite.inspection import MARK, look, packages_of, venv_of

__all__ = ["install", "main", "remove", "serve", "stop", "venv"]

NOTES = "setup.json"
"""What was changed on the device besides our own folder: parents that were made, and whether lingering was allowed."""

SPACE = "No space left on device"

Given = dict[str, Any]


def venv(given: Given) -> Given:
    """An empty virtual environment, in place of one that does not run."""
    with _alone(given) as root:
        if venv_of(root) is None:
            _make_venv(root)
    return {}


def install(given: Given) -> Given:
    """Install ``asked``; where something else or something half-done is there, begin from an empty venv."""
    with _alone(given) as root:
        found = venv_of(root)
        if found is None or found["asked"] != given["asked"]:
            if found is None or found["packages"]:
                _make_venv(root)
            _install(root, given)
        for leftover in ("tmp", "wheels"):
            shutil.rmtree(root / leftover, ignore_errors=True)
        return {"packages": packages_of(root)}


def stop(given: Given) -> Given:
    """End the agent that stays, with its stages."""
    with _alone(given) as root:
        end_agent(root, Path.home() / given["unit"])
    return {}


def serve(given: Given) -> Given:
    """Start the agent anew, in the way that lasts on this machine."""
    unit = Path.home() / given["unit"]
    with _alone(given) as root:
        end_agent(root, unit)
        if user_systemd():
            if allow_linger():
                _note(root, linger=True)
            _make(root, unit.parent / "default.target.wants")
        if given.get("pages"):
            (root / "agent").mkdir(exist_ok=True)
            (root / "agent" / "pages").write_text(given["pages"])
        start(root, unit, given)
        return state(root, unit, given)


def remove(given: Given) -> Given:
    """Leave the device as it was before."""
    root, unit = Path.home() / given["root"], Path.home() / given["unit"]
    end_agent(root, unit)
    for folder in root.glob("visit-*"):
        end(folder.name.removeprefix("visit-"))
    remove_unit(unit)
    remove_cron()
    notes = _notes(root)
    if notes["linger"]:
        must(["loginctl", "--no-ask-password", "disable-linger"])
    if root.exists():
        shutil.rmtree(root)
    for path in reversed(notes["folders"]):
        with contextlib.suppress(OSError):  # somebody else keeps something there by now
            os.rmdir(path)
    return {}


def main(verb: str, arguments: str) -> None:
    """Do it, and print how it went."""
    verbs = {"look": look, "venv": venv, "install": install, "stop": stop, "serve": serve, "remove": remove}
    try:
        answer = verbs[verb](json.loads(arguments))
    except (Failed, OSError, subprocess.SubprocessError) as error:
        answer = {"failed": str(error)}
    print(json.dumps(answer))


def _make_venv(root: Path) -> None:
    shutil.rmtree(root / "venv", ignore_errors=True)
    must([sys.executable, "-B", "-m", "venv", "--without-pip", str(root / "venv")])


def _install(root: Path, given: Given) -> None:
    python, temporary = str(root / "venv" / "bin" / "python"), root / "tmp"
    options = ["--disable-pip-version-check", "--no-cache-dir", "--no-input", "--only-binary=:all:", *given["options"]]
    environment = {**os.environ, "TMPDIR": str(temporary), "ORT_DISABLE_TELEMETRY": "1"}
    try:
        must([python, "-I", str(temporary / "pip.zip" / "pip"), "install", *options], environment, root)
        must([python, "-I", "-c", "import msgspec, numpy, onnxruntime"], environment, root)
        (root / "venv" / MARK).write_text(json.dumps({"asked": given["asked"], "packages": packages_of(root)}))
    except (Failed, OSError) as error:
        if SPACE in str(error):  # what is half there would only keep the disk full
            for folder in ("venv", "tmp", "wheels"):
                shutil.rmtree(root / folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def _alone(given: Given) -> Iterator[Path]:
    """One set-up at a time, in our folder; one whose connection was cut goes on until it is done."""
    root = Path.home() / given["root"]
    _make(root, root)
    with (root / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root


def _make(root: Path, folder: Path) -> None:
    """Make a folder, and remember which of its parents were not there."""
    new = [str(path) for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    if new:
        _note(root, folders=[*_notes(root)["folders"], *reversed(new)])


def _notes(root: Path) -> Given:
    try:
        return {"folders": [], "linger": False, **json.loads(text(root / NOTES))}
    except ValueError:
        return {"folders": [], "linger": False}


def _note(root: Path, **changes: Any) -> None:
    part = root / f"{NOTES}.part"
    part.write_text(json.dumps({**_notes(root), **changes}))
    part.replace(root / NOTES)
