"""The agent: a supervisor on each device that keeps files, starts stage processes and speaks the verbs.

    controller ──Unix socket──▶ agent ──socket pair──▶ stage process (onnxruntime, data sockets)
                                  └───socket pair──▶ stage process …

It holds no onnxruntime of its own, so that a stage that crashes or runs out of memory is a failed stage and not a
dead agent. It ends when told to or on SIGTERM, and its stages end with it.

    follow   ends, with its folder, when its standard input closes: the end of whoever started it is its own
    linger   leaves whoever started it, and stays
    serve    stays in the foreground, for systemd
    visit    speaks the verbs on standard input and output with the one who started it, and ends with them
    attach   is no agent: passes standard input and output on to the one that serves the folder
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

from edgekit.errors import EdgekitError, ProtocolError
from edgekit.runtime.control import Channel, Failure
from edgekit.runtime.sockets import arrivals
from edgekit.runtime.supervisor import Supervisor
from edgekit.runtime.verbs import Alive, Done, Hold, Request, Stop
from edgekit.runtime.visiting import attach, visit

__all__ = ["main", "serve"]

Farewell = SimpleQueue[Channel | None]
"""Who asked the agent to end and waits for its answer; None: nobody waits."""


def serve(folder: Path, mode: str = "follow", store: Path | None = None) -> None:
    """Serve ``folder/agent.sock`` until the end."""
    supervisor = Supervisor(folder, store)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "agent.sock"))
    listener.listen()
    if mode == "linger":
        _detach()  # whoever started the agent need not be its parent, and may now dial it
    farewell: Farewell = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: farewell.put(None))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_accept, args=(listener, supervisor, farewell), daemon=True).start()
    if mode == "follow":
        threading.Thread(target=_follow_starter, args=(farewell,), daemon=True).start()
    channel = farewell.get()
    # from here on nobody finds this agent any more, and another may take its place
    (folder / "agent.sock").unlink(missing_ok=True)
    supervisor.stop(None)
    if mode == "follow":
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(EdgekitError):  # it may have gone without waiting
        if channel is not None:
            channel.send(Done())


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


def _accept(listener: socket.socket, supervisor: Supervisor, farewell: Farewell) -> None:
    for sock in arrivals(listener):
        threading.Thread(target=_converse, args=(Channel(sock, "the controller"), supervisor, farewell), daemon=True).start()


def _converse(channel: Channel, supervisor: Supervisor, farewell: Farewell) -> None:
    try:
        while True:
            request, blob = channel.receive(Request)
            if isinstance(request, Stop) and request.plan is None:
                farewell.put(channel)
                return
            if not isinstance(request, Alive | Hold):  # of which the one wants no answer, and the other gets the end of this process
                channel.send(*supervisor.reply(request, blob))
    except EdgekitError as error:  # the controller has gone, and the stages go on; or it speaks another language
        with contextlib.suppress(EdgekitError):
            if isinstance(error, ProtocolError):
                channel.send(Failure("ProtocolError", str(error)))
        channel.close()


def _absolute(text: str) -> Path:
    return Path(text).absolute()  # stage processes work elsewhere


def main() -> None:
    """The command line of ``python -m edgekit.runtime.agent``."""
    parser = argparse.ArgumentParser(description="edgekit agent")
    parser.add_argument("mode", choices=("follow", "linger", "serve", "visit", "attach"))
    parser.add_argument("folder", type=_absolute)
    parser.add_argument("--store", type=_absolute, help="where files are kept; in the folder, unless given")
    arguments = parser.parse_args()
    os.umask(0o077)  # socket, models and log are their owner's alone
    if arguments.mode == "attach":
        sys.exit(attach(arguments.folder))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.mode == "visit":
        visit(arguments.folder, arguments.store)
        return
    sys.stderr = (arguments.folder / "agent.log").open("a", buffering=1)
    serve(arguments.folder, arguments.mode, arguments.store)


if __name__ == "__main__":
    main()
