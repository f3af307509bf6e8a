"""Commands and files on one machine, over one SSH connection that is used for all of them."""

import contextlib
import posixpath
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from types import TracebackType
from typing import NamedTuple, Self

import paramiko

from edgekit.errors import DeviceError
from edgekit.runtime.links.sockets import LOOPBACK

__all__ = ["Output", "Shell", "Stream"]

OPEN_S = 20.0
"""Time that a host has to open a channel."""

END_S = 2.0
PIECE_BYTES = 65536
WRITE_BYTES = 32_000
"""Of a file at once: with what goes around it still one packet of sshd's, which has at most 32 768 bytes."""


class Output(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Stream:
    """Standard input and output of a command that runs there, or a connection from there."""

    def __init__(self, channel: paramiko.Channel):
        self._channel = channel

    def sendall(self, data: bytes | memoryview, /) -> None:
        """Send all of it; OSError when the command has ended."""
        self._channel.sendall(data)  # type: ignore[arg-type]  # it takes any buffer

    def recv(self, count: int, /) -> bytes:
        """Up to ``count`` bytes; none when the command has ended."""
        data: bytes = self._channel.recv(count)
        return data

    def close(self) -> None:
        """Close both; most commands end on that."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # the connection may have gone before
            self._channel.close()

    def ending(self) -> Output:
        """How a command ended that has closed its output."""
        complaint = b""
        self._channel.settimeout(END_S)
        try:
            while data := self._channel.recv_stderr(PIECE_BYTES):
                complaint += data
        except TimeoutError:
            return Output(-1, "", complaint.decode(errors="replace"))
        return Output(self._channel.recv_exit_status(), "", complaint.decode(errors="replace"))


class Shell:
    """A machine that we are logged in to. ``address``: where on it the connection arrived, by its own word."""

    def __init__(self, name: str, transport: paramiko.Transport, stack: ExitStack):
        self.name = name
        self._transport = transport
        self._stack = stack
        self._sftp: paramiko.SFTPClient | None = None
        self._callers: dict[int, Callable[[Stream], None]] = {}

    @property
    def near(self) -> str | None:
        """The address of this machine that the connection leaves from; None where it leads through a host or a command."""
        sock = self._transport.sock
        return str(sock.getsockname()[0]) if isinstance(sock, socket.socket) else None

    def open(self, command: str) -> Stream:
        """Start a command to talk with."""
        channel = self._channel()
        channel.exec_command(command)
        return Stream(channel)

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float = 60.0, check: bool = True) -> Output:
        """Run a command by the login shell and wait for its end.

        Raises:
            DeviceError: it fails (with ``check``), takes longer than ``timeout_s``, or the connection ends.
        """
        channel = self._channel()
        with channel:
            channel.settimeout(timeout_s)
            try:
                channel.exec_command(command)
                complaint = _Reading(channel)
                self._feed(channel, stdin)
                out = b""
                while data := channel.recv(PIECE_BYTES):
                    out += data
                ended = channel.status_event.wait(timeout_s)
            except TimeoutError:
                ended = False
            except (OSError, paramiko.SSHException, EOFError) as error:
                raise self._lost(error) from error
            if not ended:
                raise DeviceError(f"{self.name}: `{_short(command)}` was not done after {timeout_s:g} s; is the machine overloaded?")
            done = Output(channel.recv_exit_status(), out.decode(errors="replace"), complaint.text())
        if done.code < 0 and not self._transport.is_active():
            raise self._lost("the host hung up")
        if check and done.code:
            said = (done.err.strip() or done.out.strip()).splitlines()
            raise DeviceError(
                f"{self.name}: `{_short(command)}` failed with exit code {done.code}: {said[-1] if said else 'it said nothing'}"
            )
        return done

    def _feed(self, channel: paramiko.Channel, stdin: bytes) -> None:
        try:
            channel.sendall(stdin)
            channel.shutdown_write()
        except TimeoutError:
            raise
        except OSError:
            if not self._transport.is_active():
                raise  # else the command has ended without reading all of it

    def put(self, data: bytes, path: str, mode: int = 0o600) -> None:
        """Write a file, which appears whole or not at all; folders on its way are made."""
        path, files = path.removeprefix("~/"), self._files()
        part = f"{path}.part"
        try:
            self._make_folder(files, posixpath.dirname(path))
            with files.open(part, "wb") as file:
                file.set_pipelined(True)
                for begin in range(0, len(data), WRITE_BYTES):
                    file.write(data[begin : begin + WRITE_BYTES])
            if files.stat(part).st_size != len(data):  # what kept a write from being done is not always said
                raise OSError("not all of it was written")
            files.chmod(part, mode)
            files.posix_rename(part, path)
        except (OSError, paramiko.SSHException, EOFError) as error:
            with contextlib.suppress(OSError, paramiko.SSHException, EOFError):
                files.remove(part)  # on a full disk it would be in everybody's way
            raise DeviceError(f"{self.name}: {path} cannot be written ({error}); see its disk and the permissions there") from error

    def get(self, path: str) -> bytes:
        """Read a file."""
        into = BytesIO()
        try:
            self._files().getfo(path.removeprefix("~/"), into, prefetch=True)
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise DeviceError(f"{self.name}: {path} cannot be read ({error})") from error
        return into.getvalue()

    def _make_folder(self, files: paramiko.SFTPClient, path: str) -> None:
        if not path or path == "/":
            return
        try:
            files.stat(path)
        except FileNotFoundError:
            self._make_folder(files, posixpath.dirname(path))
            files.mkdir(path, 0o700)

    def _files(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            try:
                self._sftp = paramiko.SFTPClient.from_transport(self._transport)
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise DeviceError(f"{self.name}: it serves no files ({error}); enable Subsystem sftp in its sshd_config") from error
            assert self._sftp is not None
            self._sftp.get_channel().settimeout(OPEN_S)  # type: ignore[union-attr]
        return self._sftp

    def _channel(self) -> paramiko.Channel:
        try:
            return self._transport.open_session(timeout=OPEN_S)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(error) from error

    def _lost(self, why: object) -> DeviceError:
        return DeviceError(f"{self.name}: the connection was lost ({why}); see that the machine is up, then do it again")

    def dial(self, host: str, port: int) -> Stream:
        """A connection that is made from there."""
        try:
            return Stream(self._transport.open_channel("direct-tcpip", (host, port), (LOOPBACK, 0), timeout=OPEN_S))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise DeviceError(f"{self.name} does not reach {host}:{port} ({error}); does its sshd allow TCP forwarding?") from error

    def listen(self, caller: Callable[[Stream], None]) -> int:
        """Open a port on its loopback; ``caller`` gets each connection that is made to it there."""
        try:
            port = self._transport.request_port_forward(LOOPBACK, 0, lambda channel, origin, at: self._callers[at[1]](Stream(channel)))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise DeviceError(f"{self.name} opens no port for us ({error}); does its sshd allow TCP forwarding?") from error
        self._callers[port] = caller
        return port

    def listen_no_more(self, port: int) -> None:
        """Close such a port."""
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            self._transport.cancel_port_forward(LOOPBACK, port)

    def close(self) -> None:
        """Log out."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Reading:
    """Standard error, read meanwhile: a command that fills it would wait for ever."""

    def __init__(self, channel: paramiko.Channel):
        self._channel = channel
        self._data = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join(END_S)
        return self._data.decode(errors="replace")

    def _read(self) -> None:
        try:
            while data := self._channel.recv_stderr(PIECE_BYTES):
                self._data += data
        except OSError:
            pass


def _short(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 80 else f"{line[:77]}..."
