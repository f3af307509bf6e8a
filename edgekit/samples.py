"""What kernels cost on one device, as sampled there: what a predictor for networks never run on it is fitted to."""

from typing import Annotated

from msgspec import Meta, Struct

from edgekit.conditions import Conditions
from edgekit.device import Variant
from edgekit.quantity import Bytes, Count, Name, Seconds

__all__ = ["Fused", "SampledKernel", "SampledNetwork", "Samples"]

Shape = tuple[Count, ...]


class Fused(Struct, frozen=True, forbid_unknown_fields=True):
    """Nodes that run as one kernel, as any graph tells of them; nothing in it depends on the device.

    Attributes:
        ops: of the nodes, in their order.
        reads, makes: shapes of the tensors that come in and go out; ``weights``: of what is held.
        window: sides of a pooling window, which no shape tells.
        before, after: operators of the kernels that feed it and that read it, sorted; "" stands for the graph's own ends.
    """

    ops: tuple[Name, ...]
    reads: tuple[Shape, ...]
    makes: tuple[Shape, ...]
    weights: tuple[Shape, ...] = ()
    macs: Count = 0
    window: Shape = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class SampledKernel(Struct, frozen=True, forbid_unknown_fields=True):
    """A kernel, and its seconds within the network that it ran in, with the profiler on."""

    kernel: Fused
    seconds: Seconds


class SampledNetwork(Struct, frozen=True, forbid_unknown_fields=True):
    """A network that was run: as a whole with the profiler off, and kernel by kernel.

    Attributes:
        source: which network; a sampler passes over those that are there already.
        p10_s, p50_s: of the whole; ``cpu_s``: processor seconds, their lowest tenth.
        profiled_s: of the whole with the profiler on.
        taken_s: what the measurement took.
        fusions: for each unit, its signature and the kernel of each of its nodes (see profilers.fusing).
    """

    source: Name
    p10_s: Seconds
    p50_s: Seconds
    cpu_s: Seconds
    profiled_s: Seconds
    taken_s: Seconds
    kernels: tuple[SampledKernel, ...]
    fusions: tuple[tuple[str, str], ...] = ()


class Samples(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.samples"):
    """All that was sampled of one device in one variant, under the same conditions.

    ``sentinel_s``: of one network that was run again and again in between; what they differ by is the machine's doing.
    """

    device: Name
    variant: Variant
    conditions: Conditions
    networks: tuple[SampledNetwork, ...]
    emulated: bool = False
    base_bytes: Bytes = 0
    sentinel_s: tuple[Seconds, ...] = ()
    library_bytes: Bytes = 0
    version: Annotated[int, Meta(ge=1)] = 1

    @property
    def taken_s(self) -> float:
        """What all measurements together took."""
        return sum(network.taken_s for network in self.networks)

    @property
    def kernel_count(self) -> int:
        return sum(len(network.kernels) for network in self.networks)
