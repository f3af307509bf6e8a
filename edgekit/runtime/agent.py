"""The agent: a supervisor on each device that keeps files, starts stage processes and speaks the verbs.

    controller ──Unix socket──▶ agent ──socket pair──▶ stage process (onnxruntime, data sockets)
                                  └───socket pair──▶ stage process …

It holds no onnxruntime of its own, so that a stage that crashes or runs out of memory is a failed stage and not a
dead agent. It ends when told to, on SIGTERM, or, unless it is to linger, when its standard input closes: the end of
whoever started it is its own. Its stages end with it.
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
from edgekit.runtime.verbs import Done, Hold, Reply, Request, Stop

__all__ = ["main", "serve"]

Farewell = SimpleQueue[Channel | None]
"""Who asked the agent to end and waits for its answer; None: nobody waits."""


def serve(folder: Path, linger: bool) -> None:
    """Serve ``folder/agent.sock`` until the end; a folder that is not to linger is removed with the agent."""
    supervisor = Supervisor(folder)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "agent.sock"))
    listener.listen()
    if linger and os.fork():
        os._exit(0)  # whoever started the agent need not be its parent, and may now dial it
    farewell: Farewell = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: farewell.put(None))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_accept, args=(listener, supervisor, farewell), daemon=True).start()
    if not linger:
        threading.Thread(target=_follow_starter, args=(farewell,), daemon=True).start()
    channel = farewell.get()
    # from here on nobody finds this agent any more, and another may take its place
    (folder / "agent.sock").unlink(missing_ok=True)
    supervisor.stop(None)
    if not linger:
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(EdgekitError):  # it may have gone without waiting
        if channel is not None:
            channel.send(Done())


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
            if not isinstance(request, Hold):  # which is answered by the end of this process
                channel.send(*_answer(supervisor, request, blob))
    except EdgekitError as error:  # the controller has gone, and the stages go on; or it speaks another language
        with contextlib.suppress(EdgekitError):
            if isinstance(error, ProtocolError):
                channel.send(Failure("ProtocolError", str(error)))
        channel.close()


def _answer(supervisor: Supervisor, request: Request, blob: bytes) -> tuple[Reply | Failure, bytes]:
    try:
        return supervisor.answer(request, blob)
    except EdgekitError as error:
        return Failure(type(error).__name__, str(error)), b""
    except Exception as error:  # told to the controller, which waits for an answer
        return Failure("DeviceError", f"{type(error).__name__}: {error}"), b""


def main() -> None:
    """The command line of ``python -m edgekit.runtime.agent``."""
    parser = argparse.ArgumentParser(description="edgekit agent")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--linger", action="store_true", help="stay when standard input closes")
    arguments = parser.parse_args()
    os.umask(0o077)  # socket, models and log are their owner's alone
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sys.stderr = (arguments.folder / "agent.log").open("a", buffering=1)
    serve(arguments.folder, arguments.linger)


if __name__ == "__main__":
    main()
