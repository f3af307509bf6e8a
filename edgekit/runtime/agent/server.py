"""The agent: a supervisor on each device that keeps files, starts stage processes and speaks the verbs.

    controller ──Unix socket──▶ agent ──socket pair──▶ stage process (onnxruntime, data sockets)
                                  └───socket pair──▶ stage process …

It holds no onnxruntime of its own, so that a stage that crashes or runs out of memory is a failed stage and not a
dead agent. It ends when told to or on SIGTERM, and its stages end with it.

    follow   ends, with its folder, when its standard input closes: the end of whoever started it is its own
    serve    stays, in the foreground for systemd or, with --daemon, in the background; what served comes back with it
    visit    speaks the verbs on standard input and output with the one who started it, and ends with them
    attach   is no agent: passes standard input and output on to the one that serves the folder
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

from edgekit.errors import DeviceError, EdgekitError, ProtocolError
from edgekit.runtime.agent.control import Channel, Failure
from edgekit.runtime.agent.journal import Journal
from edgekit.runtime.agent.lease import Lease
from edgekit.runtime.agent.monitor import show
from edgekit.runtime.agent.pages import PAGES_PORT, address_from
from edgekit.runtime.agent.supervisor import Supervisor
from edgekit.runtime.agent.systemd import READY, STOPPING, keep_alive, notify
from edgekit.runtime.agent.visit import attach, visit
from edgekit.runtime.links.sockets import LOOPBACK, arrivals
from edgekit.runtime.termination import on_sigterm
from edgekit.runtime.verbs import Alive, Claim, Done, Hold, Request, Stop

__all__ = ["main", "serve"]

"""Where the agent that a device keeps is looked at; those of ``local:`` devices, of which there are several, take any port."""

Farewell = SimpleQueue[Channel | None]
"""Who asked the agent to end and waits for its answer; None: nobody waits."""


def serve(
    folder: Path,
    *,
    store: Path | None = None,
    follow: bool = False,
    daemon: bool = False,
    keeps: bool = False,
    pages: tuple[str, int] = (LOOPBACK, 0),
    journal: Journal | None = None,
) -> None:
    """Serve ``folder/agent.sock`` until the end; what ``keeps`` lets its stages come back with the next agent.

    ``pages``: where monitors may look, at any port (0) or at this one if it is free.

    Raises:
        DeviceError: another agent serves the folder.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # before anyone can dial it
    store = store or folder / "store"
    supervisor = Supervisor(folder, store=store, keeps=keeps, journal=journal)
    listener = _listen(folder / "agent.sock")
    if daemon:
        _detach()  # whoever started the agent need not be its parent, and may now dial it
    (folder / "agent.pid").write_text(f"{os.getpid()}\n")
    farewell: Farewell = SimpleQueue()
    on_sigterm(lambda: farewell.put(None))
    supervisor.pages = show(supervisor, *pages)
    supervisor.bring_back()
    threading.Thread(target=_accept, args=(listener, supervisor, store.parent / "lease", farewell), daemon=True).start()
    if follow:
        threading.Thread(target=_follow_starter, args=(farewell,), daemon=True).start()
    over = threading.Event()
    notify(READY)
    keep_alive(supervisor.is_free, over)
    channel = farewell.get()
    notify(STOPPING)
    over.set()
    # from here on nobody finds this agent any more, and another may take its place
    (folder / "agent.sock").unlink(missing_ok=True)
    (folder / "agent.pid").unlink(missing_ok=True)
    supervisor.stop(None, for_good=channel is not None)
    if follow:
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(EdgekitError):  # it may have gone without waiting
        if channel is not None:
            channel.send(Done())


def _listen(path: Path) -> socket.socket:
    """A socket in the place of one that an agent may have left behind when it was killed; of several that begin, one gets it."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with socket.socket(socket.AF_UNIX) as other, contextlib.suppress(OSError):
            other.connect(str(path))
            raise DeviceError(f"an agent serves {path.parent} already; end it first")
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        return listener
    finally:
        os.close(folder)


def _detach() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # an SSH server waits for them to be closed
        os.dup2(nothing, stream)


def _follow_starter(farewell: Farewell) -> None:
    while os.read(0, 4096):
        pass
    farewell.put(None)


def _accept(listener: socket.socket, supervisor: Supervisor, lease: Path, farewell: Farewell) -> None:
    for sock in arrivals(listener):
        threading.Thread(target=_converse, args=(Channel(sock, "the controller"), supervisor, Lease(lease), farewell), daemon=True).start()


def _converse(channel: Channel, supervisor: Supervisor, lease: Lease, farewell: Farewell) -> None:
    try:
        while True:
            request, blob = channel.receive(Request)
            match request:
                case Stop(plan=None):
                    farewell.put(channel)
                    return
                case Hold(plan):  # answered by its end
                    supervisor.hold(plan, channel)
                case Claim():
                    channel.send(lease.answer(request))
                case Alive():
                    pass
                case _:
                    channel.send(*supervisor.reply(request, blob))
    except EdgekitError as error:  # the controller has gone, and the stages go on; or it speaks another language
        with contextlib.suppress(EdgekitError):
            if isinstance(error, ProtocolError):
                channel.send(Failure("ProtocolError", str(error)))
        channel.close()
    finally:
        lease.close()


def _told(path: Path) -> str:
    """What set-up has written down."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _absolute(text: str) -> Path:
    return Path(text).absolute()  # stage processes work elsewhere


def main() -> None:
    """The command line of ``python -m edgekit.runtime.agent.server``."""
    parser = argparse.ArgumentParser(description="edgekit agent")
    parser.add_argument("mode", choices=("follow", "serve", "visit", "attach"))
    parser.add_argument("folder", type=_absolute, nargs="?", help="of the agent; beside its file, unless given")
    parser.add_argument("--daemon", action="store_true", help="serve in the background")
    parser.add_argument("--pages", metavar="HOST:PORT", help=f"for monitors; loopback, and port {PAGES_PORT} if it is free")
    arguments = parser.parse_args()
    os.umask(0o077)  # socket, models and log are their owner's alone
    beside = Path(sys.argv[0]).absolute().parent
    folder = arguments.folder or beside / "agent"
    store = beside / "store" if arguments.folder is None else folder / "store"
    if arguments.mode == "attach":
        sys.exit(attach(folder))
    if arguments.mode == "visit":
        visit(folder.parent if arguments.folder is None else folder, store)
    folder.mkdir(parents=True, exist_ok=True)
    sys.stderr = journal = Journal(folder)
    keeps = arguments.folder is None
    told = arguments.pages or (_told(folder / "pages") if keeps else "")
    pages = address_from(told) if told else (LOOPBACK, PAGES_PORT if keeps else 0)
    serve(folder, store=store, follow=arguments.mode == "follow", daemon=arguments.daemon, keeps=keeps, pages=pages, journal=journal)


if __name__ == "__main__":
    main()
