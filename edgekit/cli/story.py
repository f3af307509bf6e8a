"""What the demo did, in ten lines for who sees it for the first time."""

from typing import TYPE_CHECKING

from edgekit.api.demo import WITHIN
from edgekit.cli.console import mb, ms
from edgekit.cli.verdict import print_trace
from edgekit.front import cost_of

if TYPE_CHECKING:
    from edgekit.api.demo import Demo

__all__ = ["tell_story"]


def tell_story(done: "Demo") -> None:
    """Print the story, with the table of what was predicted and measured in it."""
    millions = done.graph.macs / 1e6
    print(f"1. made a network that reads handwritten digits: MobileNetV2, {millions:.0f} million MACs a frame.")
    print(f"   Nothing was downloaded; of {done.judged} digits it never saw, it reads {done.right:.1%} right")
    print(f"2. started three devices on this machine that play slower ones: {_devices(done)}")
    print(f"   links between them and the camera are held to {_rates(done)} (all of it: emulated)")
    print("3. measured the links, and the network on each device in fp32 and in int8, kernel by kernel")
    print("4. measured on digits what is lost when a part runs in int8, or a link carries 8 bits")
    print(f"5. found all plans that no other plan beats: {len(done.front.plans)}, exact over where to cut,")
    print(f"   which device, which precision and what links carry: {_spans(done)}")
    print("6. measured every part of these plans on its device, and read digits with every plan")
    print(f"7. {done.front.choice(done.plan)}")
    print(f"   {done.plan.describe()}: {_errors(cost_of(done.plan).accuracy_loss)}")
    print(f"8. started it in processes of its own: split and unsplit outputs are {_equality(done)}")
    print("9. certified it: measured the running pipeline against what had been predicted")
    if done.certified > 1:
        print(f"   a second time: the first was more than {WITHIN:.0%} off, as when this machine has other work")
    print_trace(done.trace, WITHIN)
    picture = done.pictures[0]
    print(f"\n10. stopped everything. The picture is {picture}, the run is kept in {picture.parent}")
    print("next, your own network: edgekit init, then edgekit export mypackage.nets:make -o net.onnx")


def _devices(done: "Demo") -> str:
    words = []
    for device in done.cluster.devices:
        cap = "" if device.memory_bytes is None else f", at most {mb(device.memory_bytes)}"
        words.append(f"{device.name} ({device.speed:.0%} of a core{cap})")
    return ", ".join(words)


def _rates(done: "Demo") -> str:
    rates = [(link.shape.bytes_per_s or 0) * 8e-6 for link in done.cluster.links]
    return f"{min(rates):.0f} to {max(rates):.0f} Mbit/s"


def _spans(done: "Demo") -> str:
    costs = [cost_of(plan) for plan in done.front.plans]
    latencies, paces = [cost.latency_s for cost in costs], [1 / cost.period_s for cost in costs]
    most = max(cost.accuracy_loss or 0.0 for cost in costs)
    latency = f"{ms(min(latencies))} to {ms(max(latencies))}"
    return f"{latency}, {min(paces):.0f} to {max(paces):.0f} frames/s, {_errors(most, 'up to ')}"


def _errors(loss: float | None, most: str = "") -> str:
    return f"{most}{loss:.1%} more errors" if loss else "no more errors than the unsplit network"


def _equality(done: "Demo") -> str:
    equality = done.trace.equality
    return "equal bit for bit" if equality.bit_equal else f"equal within {equality.worst:.1e}"
