"""A signal that the kernel gives to another thread than the main one, which waits for a lock."""

import subprocess
import sys

OTHER = """
import os, signal, sys, threading, time
def take():
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
taken = threading.Thread(target=take, daemon=True)
"""

AGENT = f"""{OTHER}
from queue import SimpleQueue
from edgekit.runtime.termination import on_sigterm
told = SimpleQueue()
on_sigterm(lambda: told.put(7))
taken.start()
sys.exit(told.get())
"""

COMMAND = f"""{OTHER}
from edgekit.cli import app, main
@app.app.command("wait")
def wait():
    taken.start()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        sys.exit(7)
sys.argv = ["edgekit", "wait"]
main()
"""


def test_an_agent_ends_whichever_thread_was_told() -> None:
    assert subprocess.run([sys.executable, "-c", AGENT], timeout=30).returncode == 7


def test_a_command_is_interrupted_whichever_thread_was_told() -> None:
    assert subprocess.run([sys.executable, "-c", COMMAND], timeout=30).returncode == 7
