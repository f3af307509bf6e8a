"""A board to try SSH with: a real sshd on loopback that lets you in as yourself, into an empty home.

    with board(Path("somewhere"), name="pi") as config:
        ...  # with these lines in ~/.ssh/config, ssh://pi is a machine that has nothing of edgekit

It is this machine: the same processor and the same programs. Its home is the folder given, so that whatever
is set up there is gone with the folder. It has neither systemd nor cron: nothing is started there at boot.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["board"]

CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/hostkey
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp {sftp}
ForceCommand {folder}/login
"""

LOGIN = """#!/bin/sh
cd '{home}'
exec env -i HOME='{home}' PATH='{folder}/bin' LANG=C.UTF-8 sh -c "$SSH_ORIGINAL_COMMAND"
"""

CLIENT = """Host {name}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/id_ed25519
    IdentitiesOnly yes
"""

KEEPERS = {"systemctl", "loginctl", "crontab"}
"""Programs that would keep an agent of this board beyond its life."""

START_S = 10.0


@contextmanager
def board(folder: Path, name: str) -> Iterator[str]:
    """Start the board in a new folder; yields its entry for ``~/.ssh/config``. Leaving ends its sshd and its agent."""
    sshd, sftp = _program("sshd"), _program("sftp-server", "/usr/lib/openssh", "/usr/libexec/openssh", "/usr/libexec")
    folder = folder.absolute()
    home = folder / "home"
    home.mkdir(parents=True)
    for key in ("hostkey", "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "id_ed25519.pub", folder / "authorized_keys")
    _programs(folder / "bin")
    port = _free_port()
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder, sftp=sftp))
    (folder / "login").write_text(LOGIN.format(folder=folder, home=home))
    (folder / "login").chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stdin=subprocess.DEVNULL, stderr=log)
    try:
        _wait(process, port, folder / "sshd.log")
        yield CLIENT.format(name=name, port=port, user=getpass.getuser(), folder=folder)
    finally:
        process.terminate()
        process.wait()
        _end_agent(home)


def _program(name: str, *folders: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*folders, "/usr/sbin", os.environ.get("PATH", "")]))
    if found is None:
        sys.exit(f"{name} is missing; on Debian: sudo apt-get install openssh-server")
    return found


def _programs(folder: Path) -> None:
    """Links to every program of this machine but the keepers."""
    folder.mkdir()
    for where in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", str(Path(sys.executable).resolve().parent)):
        for path in Path(where).glob("*"):
            link = folder / path.name
            if path.name not in KEEPERS and not link.is_symlink():
                link.symlink_to(path)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end_s = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end_s:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"sshd does not answer: {log.read_text()}")


def _end_agent(home: Path) -> None:
    """End the agent of this home, should it still run; it is found by its own pid file and checked by its command line."""
    pid = home / ".local/share/edgekit/agent/agent.pid"
    if pid.is_file() and str(home).encode() in Path("/proc", pid.read_text().strip(), "cmdline").read_bytes():
        os.kill(int(pid.read_text()), 15)
