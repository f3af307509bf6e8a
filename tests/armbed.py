"""Programs of another architecture for machines of the bed: Debian's arm64, unpacked once, each run by qemu's user emulation.

    ssh ══▶ sshd (of this machine) ──chroot──▶ sh, python3, the agent, stage processes, onnxruntime: all aarch64

The kernel starts qemu for every one of them (binfmt_misc) for as long as the context lasts. They see the processor of a
Raspberry Pi 4, and their own files are read-only but for the home and /tmp.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sshbed import HOME, System, run

__all__ = ["aarch64", "emulated"]

SUITE, INDEX = "bookworm", "http://deb.debian.org/debian"
PACKAGES = "base-files,coreutils,dash,libstdc++6,python3"
"""What every Debian has, Raspberry Pi OS included, that edgekit uses; python3-venv is not among it."""

RULE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
CHROOT = "/srv"
"""Where a machine mounts them: sshd takes no folder below one that others may write to."""

CORE = """processor\t: {}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
"""qemu shows files of the kernel as they are, and this one before version 8.2 too."""

MOUNTS = """mount --bind '{cores}' /proc/cpuinfo
mount --bind '{root}' {chroot}
mount -o remount,bind,ro {chroot}
for there in dev proc sys {home}; do mount --rbind /${{there#/}} {chroot}/${{there#/}}; done
mount --bind /etc/passwd {chroot}/etc/passwd
mount -t tmpfs none {chroot}/tmp
"""
CONFIG = f"""ChrootDirectory {CHROOT}
SetEnv QEMU_CPU=cortex-a72
"""


@contextmanager
def aarch64(cache: Path, folder: Path) -> Iterator[System]:
    """What makes a machine of the bed an aarch64 one; skipped where a tool for that is missing."""
    if os.geteuid() != 0:
        pytest.skip("needs hardware root: a rule of binfmt_misc")
    for tool, there in (("mmdebstrap", shutil.which("mmdebstrap")), ("qemu-user-static", RULE.exists())):
        if not there:
            pytest.skip(f"needs tool {tool}")
    root = _root(cache)
    cores = folder / "cpuinfo"
    cores.write_text("".join(CORE.format(number) for number in range(os.cpu_count() or 1)))
    with _emulation(folder):
        yield System(MOUNTS.format(cores=cores, root=root, chroot=CHROOT, home=HOME), CONFIG)


def emulated(pid: int) -> bool:
    """Whether a process is one of another architecture."""
    return "qemu-aarch64" in os.readlink(f"/proc/{pid}/exe")


def _root(cache: Path) -> Path:
    """The unpacked packages; nothing of them is run for that."""
    root = cache / "edgekit-tests" / f"{SUITE}-arm64"
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=root.parent, prefix="part-"))
        try:
            how = ("--mode=root", "--variant=extract", "--arch=arm64", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
            run("mmdebstrap", "--quiet", *how, f"--include={PACKAGES}", SUITE, part, INDEX)
            (part / "etc" / "passwd").touch()
            (part / HOME.lstrip("/")).mkdir(exist_ok=True)
            part.chmod(0o755)
            part.rename(root)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return root


@contextmanager
def _emulation(folder: Path) -> Iterator[None]:
    """A rule of our own: where there is one already, it is not ours to count on or to take away."""
    rules, name = folder / "binfmt", f"edgekit-{os.getpid()}"
    rules.mkdir()
    run("mount", "-t", "binfmt_misc", "none", rules)
    try:
        (rules / "register").write_text(RULE.read_text().replace(":qemu-aarch64:", f":{name}:", 1).strip())
        try:
            yield
        finally:
            (rules / name).write_text("-1")
    finally:
        subprocess.run(["umount", rules], check=True)
