"""The passive facts of one compute unit, and the ways in which it can execute a segment."""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr, replace

from edgekit.errors import UsageError
from edgekit.quantity import Badge, Bytes, Count, Name, Rate, Seconds, Share
from edgekit.wording import counted

__all__ = ["CPU", "MCU", "OF_FP32", "ONNXRUNTIME", "SUFFIX", "Device", "Roofline", "RunsOn", "Variant"]

ONNXRUNTIME = "onnxruntime"
"""The engine of a variant that names none."""

MCU = "mcu"
"""The engine of a microcontroller."""

CPU = "CPUExecutionProvider"
SUFFIX = "ExecutionProvider"
"""How the names of all providers of onnxruntime end."""

RunsOn = Literal["cpu", "gpu", "npu", "mcu"]
"""The processor that a segment keeps busy while it runs."""

OF_FP32 = frozenset({"fp32", "tf32"})
"""Precisions that a network in fp32 can be run in; any other is made by another network."""

FAITHFUL = frozenset({CPU, "CUDAExecutionProvider"})
"""Providers that compute in the precision of the network; others compile it, in whichever they are asked for."""


class Variant(Struct, frozen=True, forbid_unknown_fields=True):
    """How a segment is executed: precision, execution provider (of onnxruntime alone), intra-op threads, and the engine."""

    precision: Name = "fp32"
    provider: Name = CPU
    threads: Annotated[int, Meta(ge=1)] = 1
    engine: Name = ONNXRUNTIME

    def __post_init__(self) -> None:
        if not self.provider.endswith(SUFFIX):
            raise UsageError(
                f'provider: expected an execution provider of onnxruntime such as "{CPU}", got "{self.provider}"; '
                f'write engine = "{self.provider}" for an engine of your own'
            )
        if self.engine != ONNXRUNTIME and self.provider != CPU:
            raise UsageError(f'engine "{self.engine}" has no provider, got "{self.provider}"; leave the provider out')

    @property
    def by(self) -> str:
        """What runs it, in short: the engine, or the provider of onnxruntime."""
        return self.provider.removesuffix(SUFFIX) if self.engine == ONNXRUNTIME else self.engine

    def __str__(self) -> str:
        """
        >>> str(Variant("int8", threads=4))
        'int8 CPU ×4'
        """
        return f"{self.precision} {self.by} ×{self.threads}"

    @property
    def words(self) -> str:
        """The same for a table or a picture.

        >>> Variant("int8", threads=4).words
        'int8, CPU, 4 threads'
        """
        return f"{self.precision}, {self.by}, {counted(self.threads, 'thread')}"

    def on(self, precision: str) -> "Variant":
        """This variant for a network of that precision, which it keeps to wherever it has no choice: compilers have one.

        >>> Variant(threads=4).on("int8").precision, Variant("tf32").on("fp32").precision
        ('int8', 'tf32')
        >>> Variant("int8").on("fp32").precision, Variant("int8", engine="hailo").on("fp32").precision
        ('fp32', 'int8')
        """
        compiled = self.engine != ONNXRUNTIME or self.provider not in FAITHFUL
        free = precision == "fp32" and (self.precision in OF_FP32 or compiled)
        return self if free or self.precision == precision else replace(self, precision=precision)


class Roofline(Struct, frozen=True, forbid_unknown_fields=True):
    """The described speed of a ``sim:`` device: a unit takes max(MACs / rate, bytes / rate) plus an overhead.

    Attributes:
        macs_per_s: of all ``cores`` together, in fp32; a stage has the share of its threads.
        fp16_macs_per_s, int8_macs_per_s: where the machine is quicker in these; None: as in fp32.
        cache_bytes: of the last level. Weights of a segment that fit into it stay there from frame to frame, and so do
            the activations of a unit; what does not fit comes from memory each time.
        cache_bytes_per_s: None: the cache holds nothing up.
        overhead_s: of each unit.
    """

    macs_per_s: Rate
    memory_bytes_per_s: Rate
    overhead_s: Seconds = 0.0
    fp16_macs_per_s: Rate | None = None
    int8_macs_per_s: Rate | None = None
    cores: Annotated[int, Meta(ge=1)] = 1
    cache_bytes: Bytes = 0
    cache_bytes_per_s: Rate | None = None

    def rate(self, variant: Variant) -> float:
        """MACs a second in a precision, with as many threads as it says."""
        peak = {"fp16": self.fp16_macs_per_s, "int8": self.int8_macs_per_s}.get(variant.precision) or self.macs_per_s
        return peak * min(variant.threads, self.cores) / self.cores


class Device(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.device"):
    """One compute unit of a machine.

    Attributes:
        address: how to reach it; the scheme (``local:``, ``sim:``) picks the kind of connection.
        host: the machine it belongs to; devices of one host share its memory. None: a host of its own.
        memory_bytes: cap of what may be used there; None: not capped. Of a microcontroller: its RAM for arena, table and weights.
        cores: processor numbers its stages are pinned to; None: not pinned.
        speed: share of its real speed that a ``local:`` device plays; below 1 its figures are emulated.
        listen: the address its stages open their data sockets on. None: the one it is reached by, which for a ``local:``
            device that another machine sends to is this machine's on the way there.
        roofline: what a ``sim:`` device is described by, unless its address names a board (``sim:pi5``) or a calibration (``sim:pi.json``).
        port: of a microcontroller, where its cable is plugged into the machine at ``address``. None: the device is that machine.
        flash_bytes: of a microcontroller, for models and weights; None: not known.
        insn_per_s: of an emulated microcontroller: instructions that it is taken to run in a second. Its figures are emulated.
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
    port: Name | None = None
    flash_bytes: Bytes | None = None
    insn_per_s: Rate | None = None
    version: int = 1

    def __post_init__(self) -> None:
        if self.board and self.variant == Variant():
            force_setattr(self, "variant", Variant("int8", engine=MCU))

    @property
    def scheme(self) -> str:
        return self.address.partition(":")[0]

    @property
    def machine(self) -> str:
        """The host's name; of a board the machine that its cable is plugged into, whose stage process runs it."""
        return self.host or (f"gateway of {self.name}" if self.board else self.name)

    @property
    def described(self) -> bool:
        """Whether there is no machine, only a description of one: nothing can be measured there, and nothing stays."""
        return self.scheme == "sim"

    @property
    def emulated(self) -> bool:
        """Whether its figures come from a machine that only plays another one."""
        return self.described or self.speed < 1 or self.insn_per_s is not None

    @property
    def board(self) -> bool:
        """Whether it is a microcontroller on a serial line: memory and flash are its own, those of its host are apart."""
        return self.port is not None or self.scheme == "serial" or self.variant.engine == MCU

    @property
    def badge(self) -> Badge:
        """What its times are worth: those of a device that is only described are worth what its description is."""
        if self.insn_per_s is not None:
            return "spec"
        if not self.described:
            return "measured"
        return "estimated" if self.calibrated else "spec"

    @property
    def calibrated(self) -> bool:
        """Whether its times come from a calibration, which its address names; a roofline in the cluster wins."""
        return self.described and self.roofline is None and self.address.endswith(".json")
