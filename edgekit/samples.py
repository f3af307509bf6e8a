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
        blocks: widths of the blocks of channels that it can be computed in, as devices with such a layout would do.
        before, after: widths at which all that feeds it, or all that reads it, is in blocks, too.
    """

    ops: tuple[Name, ...]
    reads: tuple[Shape, ...]
    makes: tuple[Shape, ...]
    weights: tuple[Shape, ...] = ()
    macs: Count = 0
    window: Shape = ()
    blocks: Shape = ()
    before: Shape = ()
    after: Shape = ()


class SampledKernel(Struct, frozen=True, forbid_unknown_fields=True):
    """A kernel, and its seconds within the network that it ran in, with the profiler on; and how many events it was told in."""

    kernel: Fused
    seconds: Seconds
    events: Count = 1


class SampledNetwork(Struct, frozen=True, forbid_unknown_fields=True):
    """A network that was run: as a whole with the profiler off, and kernel by kernel.

    Attributes:
        source: which network; a sampler passes over those that are there already.
        p10_s: of the whole, the median of ``p10s_s``, one for each process that ran it; all seconds are told at the machine's
            usual clock.
        p50_s: as much above that as in the first process; ``cpu_s``: processor seconds there, their lowest tenth.
        profiled_s: of the whole with the profiler on.
        taken_s: what the measurement took.
        fusions: for each unit, its signature and the kernel of each of its nodes (see profilers.map.fusion).
    """

    source: Name
    p10_s: Seconds
    p50_s: Seconds
    cpu_s: Seconds
    profiled_s: Seconds
    taken_s: Seconds
    kernels: tuple[SampledKernel, ...]
    fusions: tuple[tuple[str, str], ...] = ()
    p10s_s: tuple[Seconds, ...] = ()


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
