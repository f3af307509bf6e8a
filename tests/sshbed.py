"""Machines to reach over SSH, without hardware: network namespaces on a bridge, each with a real sshd and a home of its own.

    here ──── bridge 10.a.b.1 ──┬── board0 10.a.b.10  (sshd on port 22, host key, /root of its own)
    (client)                    └── board1 10.a.b.11  …

What is started and made here is ended and removed when the bed is left.
"""

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from devices.login import offered, trust
from devices.setup.agent_file import agent_file
from devices.setup.paths import AGENT, ROOT
from edgekit.device import Device
from tests.delayline import DelayLine, plain
from tests.runtime.bed import eventually

__all__ = ["Bed", "Host", "System", "bed", "install"]

CONFIG = """Port 22
ListenAddress {ip}
HostKey {folder}/hostkey
PidFile none
AuthorizedKeysFile {home}/.ssh/authorized_keys
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
AllowTcpForwarding yes
MaxStartups 100
Subsystem sftp {sftp}
"""


HOME = "/mnt"
"""Root's home on a machine: a folder that every system has, so that what lies under /root here stays in reach."""


def run(*command: object, check: bool = True) -> str:
    """A command's output; what it complains of is the error."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


class System(NamedTuple):
    """Programs of a machine's own: what it mounts before its sshd starts, what that is told besides, and what root gets there.

    ``config`` counts more than what sshd is told of every machine, as the first word on something does.
    """

    mounts: str = ""
    config: str = ""
    shell: str = "/bin/sh"
    sftp: str = "internal-sftp"


class Host:
    """One machine. ``home`` is that of its root, as seen from here; ``binds`` put other files in place of its own."""

    def __init__(
        self, name: str, space: str, ip: str, folder: Path, key: str, binds: Sequence[tuple[Path, str]] = (), system: System | None = None
    ):
        self.name, self.space, self.ip, self.folder = name, space, ip, folder
        self.home = folder / "home"
        self._binds = binds
        self._system = system or System()
        self._sshd: subprocess.Popen[bytes] | None = None
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        (self.home / ".ssh" / "authorized_keys").write_text(key)
        self.configure()
        users = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]
        (folder / "passwd").write_text("\n".join([f"root:x:0:0:root:{HOME}:{self._system.shell}", *users, ""]))
        self.new_key()

    def configure(self) -> None:
        """Write what its sshd is told, with the address that it has now."""
        told = CONFIG.format(ip=self.ip, folder=self.folder, home=HOME, sftp=self._system.sftp)
        (self.folder / "sshd_config").write_text(self._system.config + told)

    @property
    def address(self) -> str:
        """As a device's address."""
        return f"ssh://root@{self.ip}"

    def device(self) -> Device:
        """As a device."""
        return Device(self.name, self.address)

    def new_key(self) -> None:
        """Give it another host key, as if it had been installed anew."""
        for old in self.folder.glob("hostkey*"):
            old.unlink()
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "hostkey")

    @property
    def public_key(self) -> str:
        """Its host key, as known_hosts has it."""
        return " ".join((self.folder / "hostkey.pub").read_text().split()[:2])

    def start(self) -> None:
        """Start its sshd, with a home of its own."""
        mounts = "".join(
            f"mount --bind '{there}' '{here}'\n"
            for there, here in ((self.home, HOME), (self.folder / "passwd", "/etc/passwd"), *self._binds)
        )
        script = f"set -e\nmount --make-rprivate /\n{mounts}{self._system.mounts}exec /usr/sbin/sshd -D -e -f {self.folder}/sshd_config"
        with (self.folder / "sshd.log").open("ab") as log:
            command = ["ip", "netns", "exec", self.space, "unshare", "-m", "sh", "-c", script]
            env = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
            self._sshd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        eventually(lambda: "listen" in run("ip", "netns", "exec", self.space, "ss", "-Hltn", "sport = :22").lower() or _ended(self), 10)
        if _ended(self):
            raise RuntimeError((self.folder / "sshd.log").read_text())

    def stop(self) -> None:
        """End every process of the machine, as a power cut would."""
        for number in run("ip", "netns", "pids", self.space, check=False).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        if self._sshd is not None:
            self._sshd.wait(10)

    def processes(self) -> list[str]:
        """Command lines of what runs there besides sshd."""
        found = []
        for number in run("ip", "netns", "pids", self.space, check=False).split():
            with contextlib.suppress(OSError):
                found.append(Path("/proc", number, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return [line for line in found if line and "sshd" not in line]

    def cut(self) -> None:
        """Pull its cable."""
        run("ip", "netns", "exec", self.space, "ip", "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Plug it in again."""
        run("ip", "netns", "exec", self.space, "ip", "link", "set", "eth0", "up")


def _ended(host: Host) -> bool:
    return host._sshd is None or host._sshd.poll() is not None


class Bed:
    """Several machines, and a home of the client's own that knows how to log in to them."""

    def __init__(self, folder: Path, stack: ExitStack):
        self.folder = folder
        self.client = folder / "client"
        self._stack = stack
        self._name = f"ek{secrets.token_hex(3)}"
        self._numbers = itertools.count(10)
        self._subnets = itertools.count(secrets.randbelow(60_000))
        (self.client / ".ssh").mkdir(parents=True, mode=0o700)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.client / ".ssh" / "id_ed25519")
        self._bridge, self._subnet = self.bridge()

    @property
    def key(self) -> str:
        """The client's public key."""
        return (self.client / ".ssh" / "id_ed25519.pub").read_text()

    def bridge(self) -> tuple[str, str]:
        """A bridge that this machine is on, with the first three numbers of its addresses."""
        number = next(self._subnets)
        name, subnet = f"{self._name}b{number % 100}", f"10.{64 + number // 256 % 64}.{number % 256}"
        run("ip", "link", "add", name, "type", "bridge")
        self._stack.callback(run, "ip", "link", "del", name, check=False)
        run("ip", "addr", "add", f"{subnet}.1/24", "dev", name)
        run("ip", "link", "set", name, "up")
        return name, subnet

    def host(
        self,
        name: str,
        rate: str | None = None,
        binds: Sequence[tuple[Path, str]] = (),
        home: Path | None = None,
        system: System | None = None,
        delay_s: float = 0.0,
    ) -> Host:
        """A machine whose sshd is running; ``rate`` (``100mbit``) limits its cable in both directions, each of which takes ``delay_s``."""
        number = next(self._numbers)
        space, cable = f"{self._name}n{number}", f"{self._name}v{number}"
        run("ip", "netns", "add", space)
        self._stack.callback(run, "ip", "netns", "del", space, check=False)
        port = self._cable(cable, space, delay_s)
        run("ip", "link", "set", port, "master", self._bridge, "up")
        ip = f"{self._subnet}.{number}"
        for arguments in (("addr", "add", f"{ip}/24", "dev", "eth0"), ("link", "set", "eth0", "up"), ("link", "set", "lo", "up")):
            run("ip", "-n", space, *arguments)
        for netns, device in (((), port), (("-n", space), "eth0")):
            if rate:
                run("tc", *netns, "qdisc", "add", "dev", device, "root", "tbf", "rate", rate, "burst", "64kb", "latency", "50ms")
        folder = self.folder / name
        folder.mkdir()
        if home is not None:
            (folder / "home").symlink_to(home)
        made = Host(name, space, ip, folder, self.key, binds, system)
        self._stack.callback(made.stop)
        made.start()
        return made

    def _cable(self, name: str, space: str, delay_s: float) -> str:
        """Lay a cable to a machine; what the end of it on this side is called."""
        if not delay_s:
            run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
            return name
        run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}e")
        for end in (name, f"{name}e"):
            plain(end)
        run("ip", "link", "set", f"{name}e", "netns", space, "name", "eth0")
        run("ip", "link", "set", name, "up")
        line = DelayLine(name, f"{name}t", delay_s)
        self._stack.callback(line.close)
        return f"{name}t"

    def behind(self, gate: Host, name: str) -> Host:
        """A machine that only ``gate`` has a cable to."""
        number = next(self._numbers)
        space, subnet = f"{self._name}n{number}", f"10.{128 + number}.7"
        run("ip", "netns", "add", space)
        self._stack.callback(run, "ip", "netns", "del", space, check=False)
        run("ip", "-n", gate.space, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", space)
        for there, device, ip in ((gate.space, "eth1", f"{subnet}.1"), (space, "eth0", f"{subnet}.2")):
            run("ip", "-n", there, "addr", "add", f"{ip}/24", "dev", device)
            run("ip", "-n", there, "link", "set", device, "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        (self.folder / name).mkdir()
        made = Host(name, space, f"{subnet}.2", self.folder / name, self.key)
        self._stack.callback(made.stop)
        made.start()
        return made

    def board(self, name: str, rate: str | None = None, delay_s: float = 0.0) -> Host:
        """A machine that is known and set up."""
        made = self.host(name, rate, delay_s=delay_s)
        trust(made.device(), offered(made.device()))
        install(made)
        return made


def install(host: Host) -> None:
    """Put an agent on a machine, which runs with the packages of this one, as ``edgekit devices setup`` would."""
    folder = host.home / ROOT
    folder.mkdir(parents=True)
    (folder / "venv").symlink_to(sys.prefix)
    (host.home / AGENT).write_bytes(agent_file().data)


@contextmanager
def bed(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """An empty bed; HOME and the XDG folders are the client's of the bed until it is left."""
    if os.geteuid() != 0:
        pytest.skip("needs hardware root: network namespaces")
    if not shutil.which("/usr/sbin/sshd"):
        pytest.skip("needs tool sshd")
    Path("/run/sshd").mkdir(exist_ok=True)
    with ExitStack() as stack:
        made = Bed(folder, stack)
        patch.setenv("HOME", str(made.client))
        patch.setenv("XDG_CONFIG_HOME", str(made.client / ".config"))
        patch.setenv("XDG_STATE_HOME", str(made.client / ".state"))
        patch.setenv("XDG_CACHE_HOME", str(made.client / ".cache"))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        yield made
