"""What a service tells systemd of itself: that it is ready, alive, stopping. Without systemd nothing is said.

One datagram per word to the Unix socket in $NOTIFY_SOCKET (sd_notify(3)); a name that begins with @ is an abstract one.
"""

import os
import socket
import threading
from collections.abc import Callable

__all__ = ["ALIVE", "READY", "STOPPING", "interval_s", "keep_alive", "notify"]

READY = "READY=1"
ALIVE = "WATCHDOG=1"
STOPPING = "STOPPING=1"


def notify(word: str) -> bool:
    """Tell systemd a word, such as READY; whether there was anybody to tell."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(word.encode(), f"\0{address[1:]}" if address[0] == "@" else address)
    except OSError:  # systemd finds out by itself, and a service is not ended by it
        return False
    return True


def interval_s() -> float | None:
    """How often this process has to say that it is alive: twice in the time that it is given. None: nobody watches it."""
    try:
        watched = int(os.environ.get("WATCHDOG_PID") or os.getpid())
        given_s = int(os.environ["WATCHDOG_USEC"]) * 1e-6
    except (KeyError, ValueError):
        return None
    return given_s / 2 if given_s > 0 and watched == os.getpid() else None


def keep_alive(alive: Callable[[], bool], over: threading.Event) -> None:
    """Say it from a thread for as long as ``alive()`` is true, until ``over`` is set; nothing where nobody watches."""
    pause_s = interval_s()
    if pause_s is not None:
        threading.Thread(target=_say, args=(pause_s, alive, over), name="watchdog", daemon=True).start()


def _say(pause_s: float, alive: Callable[[], bool], over: threading.Event) -> None:
    while True:
        if alive():
            notify(ALIVE)
        if over.wait(pause_s):
            return
