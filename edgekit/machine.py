"""What one probe finds out about a machine; absent is None, with the reason in ``missing``."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.quantity import Bytes, Count, Name, Seconds

__all__ = ["CoreCluster", "Gpu", "Interface", "Jetson", "Machine", "Missing", "Sensor", "Throttling"]


class Missing(Struct, frozen=True, forbid_unknown_fields=True):
    """A field that could not be filled, and why."""

    field: Name
    reason: str


class CoreCluster(Struct, frozen=True, forbid_unknown_fields=True):
    """Cores that share a clock; big.LITTLE processors have several. ``capacity``: relative to the fastest core, which has 1024."""

    cores: tuple[Count, ...]
    part: str | None = None
    capacity: Count | None = None
    governor: str | None = None
    clock_hz: Count | None = None
    least_hz: Count | None = None
    most_hz: Count | None = None


class Throttling(Struct, frozen=True, forbid_unknown_fields=True):
    """What holds a Raspberry Pi back, of: undervoltage, frequency capped, throttled, soft temperature limit."""

    mask: Count
    now: tuple[str, ...] = ()
    since_boot: tuple[str, ...] = ()


class Jetson(Struct, frozen=True, forbid_unknown_fields=True):
    """What only a Jetson has: its Linux for Tegra release, its power mode, and whether its clocks are pinned."""

    release: str | None = None
    power_mode: str | None = None
    clocks_pinned: bool | None = None


class Gpu(Struct, frozen=True, forbid_unknown_fields=True):
    """An NVIDIA GPU as its driver names it; one that shares the machine's memory tells no ``memory_bytes``."""

    name: Name
    compute_capability: str | None = None
    driver: str | None = None
    memory_bytes: Bytes | None = None


class Interface(Struct, frozen=True, forbid_unknown_fields=True):
    """A network interface. ``power_save`` of a wireless one can turn a round trip of 6 ms into 120 ms."""

    name: Name
    addresses: tuple[str, ...] = ()
    up: bool = False
    wireless: bool = False
    bits_per_s: Count | None = None
    mtu: Count | None = None
    mac: str | None = None
    power_save: bool | None = None


class Sensor(Struct, frozen=True, forbid_unknown_fields=True):
    """A meter of power or energy, and what it measures; ``reason`` is why it cannot be read."""

    kind: Literal["ina3221", "ina2xx", "pmic", "rapl", "nvml"]
    path: str
    rails: tuple[str, ...] = ()
    reason: str | None = None


class Machine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.machine"):
    """One machine.

    Attributes:
        architecture: of the kernel, as ``uname -m`` says; ``bits`` is that of its Python, which may be less.
        board, soc: as the device tree (or the firmware) names them; ``family`` is what they are recognised as.
        libc: ``glibc 2.36`` or ``musl``.
        venv, ensurepip: whether its Python can make environments, and put pip into them.
        features: instructions that matter to kernels, such as asimddp (dot products), i8mm, sve, avx512_vnni.
        user_services: whether systemd runs services of this user; ``linger``: also while nobody is logged in.
        time_s: its wall clock, in seconds since 1970; ``clock_offset_s`` is how far it is ahead of the controller's.
        boot, identity: change with a reboot, or with the installation.
    """

    architecture: Name
    cores: Annotated[int, Meta(ge=1)]
    bits: int = 64
    family: Literal["raspberry-pi", "jetson", "other"] = "other"
    board: str | None = None
    soc: str | None = None
    processor: str | None = None
    clusters: tuple[CoreCluster, ...] = ()
    features: tuple[str, ...] = ()
    memory_bytes: Bytes | None = None
    available_bytes: Bytes | None = None
    hostname: str | None = None
    system: str | None = None
    kernel: str | None = None
    libc: str | None = None
    python: str | None = None
    python_path: str | None = None
    venv: bool = False
    ensurepip: bool = False
    user: str | None = None
    uid: Count | None = None
    home: str | None = None
    home_writable: bool = False
    disk_bytes: Bytes | None = None
    disk_free_bytes: Bytes | None = None
    user_services: bool = False
    linger: bool = False
    time_s: float | None = None
    clock_offset_s: float | None = None
    uptime_s: Seconds | None = None
    boot: str | None = None
    identity: str | None = None
    load_average: float | None = None
    temperature_c: float | None = None
    throttling: Throttling | None = None
    jetson: Jetson | None = None
    cuda: str | None = None
    tensorrt: str | None = None
    gpus: tuple[Gpu, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    missing: tuple[Missing, ...] = ()
    version: int = 1

    def unknown(self, *fields: str) -> str:
        """What to say of something that could not be looked at, with the reason that one of these fields is empty for."""
        reasons = {each.field: each.reason for each in self.missing}
        return f"unknown, because {next((reasons[field] for field in fields if field in reasons), 'the machine does not say')}"
