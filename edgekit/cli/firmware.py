"""Commands about microcontrollers: which boards there are, what fits, build, flash, run on an emulator."""

from edgekit.cli.app import group

__all__ = ["firmware"]

firmware = group("firmware", "Build the firmware of a microcontroller, flash it, or run it on an emulator.")
