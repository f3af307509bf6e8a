"""Where edgekit keeps what is its own on this machine: the folders of the XDG convention, which their variables move."""

import os
from pathlib import Path

__all__ = ["cache", "config", "state"]


def cache() -> Path:
    """What can be had again: ``$XDG_CACHE_HOME/edgekit``."""
    return _folder("XDG_CACHE_HOME", ".cache")


def config() -> Path:
    """What the user has decided: ``$XDG_CONFIG_HOME/edgekit``."""
    return _folder("XDG_CONFIG_HOME", ".config")


def state() -> Path:
    """What runs, and is written down so that it is found again: ``$XDG_STATE_HOME/edgekit``."""
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, usual: str) -> Path:
    """A variable with a path that is not absolute counts as unset."""
    told = Path(os.environ.get(variable, ""))
    return (told if told.is_absolute() else Path.home() / usual) / "edgekit"
