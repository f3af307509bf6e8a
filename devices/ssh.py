"""``ssh:`` devices: the verbs, spoken with an agent through an SSH channel.

    controller ══ SSH ══▶ sshd ──▶ agent.pyz visit    for as long as the connection lasts
                              └──▶ agent.pyz attach ──Unix socket──▶ agent.pyz serve    for pipelines that stay

Nothing listens on the network for control. Data sockets listen on the address that the connection arrived at.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devices.agent_connection import AgentConnection, greet
from devices.connection import NotSetUp
from devices.local_ports import Receive
from devices.login import login
from devices.setup.agent_file import agent_file
from devices.setup.paths import AGENT, PYTHON, UNIT
from devices.shell import Shell, Stream
from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.runtime.agent.control import Channel
from edgekit.runtime.agent.visit import ABSENT, SILENCE_S
from edgekit.runtime.links.sockets import LOOPBACK
from edgekit.runtime.verbs import Alive

__all__ = ["SshConnection", "connect"]

NOT_SET_UP = 42
ALIVE_S = SILENCE_S / 4
GREETING = "edgekit:agent "
MOST_GREETING_BYTES = 65536

TALK = f"""cd || exit 1
test -x {PYTHON} && test -f {AGENT} || exit {NOT_SET_UP}
echo "{GREETING}$SSH_CONNECTION"
exec {PYTHON} {AGENT} """

START = f"""systemctl --user start {Path(UNIT).name} 2>/dev/null || {PYTHON} {AGENT} serve --daemon"""


class SshConnection(AgentConnection):
    """A connection that tells the agent now and then that somebody is still there."""

    def __init__(self, device: Device, shell: Shell, channel: Channel, address: str, *, stays: bool):
        super().__init__(device, channel, address=address, stays=stays)
        self.shell = shell
        self._closing = threading.Event()
        threading.Thread(target=self._keep_alive, name=f"alive {device.name}", daemon=True).start()

    @property
    def near(self) -> str | None:
        return self.shell.near

    @contextmanager
    def forward(self, receive: Receive) -> Iterator[tuple[str, int]]:
        port = self.shell.listen(receive)
        try:
            yield LOOPBACK, port
        finally:
            self.shell.listen_no_more(port)

    def dial(self, host: str, port: int) -> Stream:
        return self.shell.dial(host, port)

    def close(self) -> None:
        self._closing.set()
        super().close()
        self.shell.close()

    def _keep_alive(self) -> None:
        while not self._closing.wait(ALIVE_S):
            try:
                self._channel.send(Alive())
            except DeviceError:
                return


def connect(device: Device, home: Path | None = None) -> SshConnection:
    """Reach an ``ssh:`` device that has been set up.

    Without ``home`` an agent is started for this connection alone and ends with it, also when the network does. With
    ``home`` the agent that stays on the device is used, and started where it does not run.

    Raises:
        NotSetUp: the device has no agent.
        DeviceError: the device cannot be reached, or has the agent of another edgekit.
    """
    shell = login(device)
    try:
        stream, address = _visit(shell) if home is None else _attach(shell)
        channel = Channel(stream, _called(device))
        _require_same(shell, stream, channel)
        return SshConnection(device, shell, channel, address, stays=home is not None)
    except BaseException:
        shell.close()
        raise


def _called(device: Device) -> str:
    """As errors call it: a board with the machine that it is plugged into."""
    return device.name if device.port is None else f"{device.name} behind {device.address}"


def _visit(shell: Shell) -> tuple[Stream, str]:
    return _greeted(shell, shell.open(f"sh -c '{TALK}visit'"))


def _attach(shell: Shell) -> tuple[Stream, str]:
    if shell.run(f"sh -c '{TALK}attach'", check=False).code == ABSENT:  # with nothing to say it ends at once
        shell.run(START, check=False)  # another device of this machine may have started it just now
    return _greeted(shell, shell.open(f"sh -c '{TALK}attach'"))


def _greeted(shell: Shell, stream: Stream) -> tuple[Stream, str]:
    """Skip what a login shell may print, up to the line that says where the connection arrived."""
    seen = b""
    while not (seen.endswith(b"\n") and seen.splitlines()[-1].startswith(GREETING.encode())):
        piece = stream.recv(1)
        if not piece or len(seen) > MOST_GREETING_BYTES:
            raise _refused(shell, stream)
        seen += piece
    words = seen.splitlines()[-1].decode(errors="replace").split()
    return stream, words[3] if len(words) > 3 else LOOPBACK


def _refused(shell: Shell, stream: Stream) -> DeviceError:
    """Why no agent answers."""
    code, _, complaint = stream.ending()
    if code == NOT_SET_UP:
        return NotSetUp(f"{shell.name} is not set up; run: edgekit devices setup {shell.name}")
    said = (complaint.strip().splitlines() or [f"exit code {code}"])[-1]
    return DeviceError(f"{shell.name}: its agent did not start ({said}); run: edgekit devices setup {shell.name}")


def _require_same(shell: Shell, stream: Stream, channel: Channel) -> None:
    """The agent has to be that of this edgekit, to the last byte."""
    try:
        there = greet(channel)
    except DeviceError as error:
        raise _refused(shell, stream) from error
    here = agent_file()
    if there.digest != here.digest:
        raise DeviceError(
            f"{shell.name} has the agent of edgekit {there.version} ({there.digest[:12]}), this is {here.version} ({here.digest[:12]}); "
            f"run: edgekit devices setup {shell.name}"
        )
