"""The passive facts of one compute unit, and the ways in which it can execute a segment."""

from typing import Annotated

from msgspec import Meta, Struct

from edgekit.quantity import Badge, Bytes, Count, Name, Rate, Seconds, Share

__all__ = ["Device", "Roofline", "Variant"]


class Variant(Struct, frozen=True, forbid_unknown_fields=True):
    """How a segment is executed: precision, onnxruntime execution provider (or the name of another backend), intra-op threads."""

    precision: Name = "fp32"
    provider: Name = "CPUExecutionProvider"
    threads: Annotated[int, Meta(ge=1)] = 1


class Roofline(Struct, frozen=True, forbid_unknown_fields=True):
    """The described speed of a ``sim:`` device: a unit takes max(MACs / rate, bytes / rate) plus an overhead."""

    macs_per_s: Rate
    memory_bytes_per_s: Rate
    overhead_s: Seconds = 0.0


class Device(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.device"):
    """One compute unit of a machine.

    Attributes:
        address: how to reach it; the scheme (``local:``, ``sim:``) picks the kind of connection.
        host: the machine it belongs to; devices of one host share its memory. None: a host of its own.
        memory_bytes: cap of what may be used there; None: not capped.
        cores: processor numbers its stages are pinned to; None: not pinned.
        speed: share of its real speed that a ``local:`` device plays; below 1 its figures are emulated.
        listen: the address its stages open their data sockets on. None: the one it is reached by, which for a ``local:``
            device that another machine sends to is this machine's on the way there.
        roofline: what a ``sim:`` device is described by.
    """

    name: Name
    address: Name = "local:"
    host: Name | None = None
    memory_bytes: Bytes | None = None
    variant: Variant = Variant()
    cores: tuple[Count, ...] | None = None
    speed: Share = 1.0
    listen: Name | None = None
    roofline: Roofline | None = None
    version: int = 1

    @property
    def scheme(self) -> str:
        return self.address.partition(":")[0]

    @property
    def machine(self) -> str:
        """The host's name."""
        return self.host or self.name

    @property
    def emulated(self) -> bool:
        """Whether its figures come from a machine that only plays another one."""
        return self.scheme == "sim" or self.speed < 1

    @property
    def badge(self) -> Badge:
        """What its times are worth: those of a device that is only described are read off the description."""
        return "spec" if self.scheme == "sim" else "measured"
