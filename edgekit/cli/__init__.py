"""The command ``edgekit``. What takes long to import is imported by the command that needs it."""

from edgekit.cli.program import main

__all__ = ["main"]
