"""Who we are, as other controllers are told."""

import getpass
import socket

__all__ = ["me"]


def me() -> str:
    """The user and the machine, such as ``ada@laptop``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
