"""What a network takes on one device, in one call, with the number of threads found by trying."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from devices import inventory
from devices.descriptions import completed
from edgekit.api.display import showing
from edgekit.api.workflow import export, load
from edgekit.deploy.serve.connections import connect_all
from edgekit.device import Device
from edgekit.graph import Graph
from edgekit.profile import Profile
from edgekit.progress import Tell, silent
from edgekit.tuning import Tuning
from profilers.measure.profiler import profile_graph
from profilers.measure.tuner import tune_device

__all__ = ["Bench", "bench", "named_device"]

THIS_MACHINE = Device("this machine")


class Bench(NamedTuple):
    """A network, its times in each setting that was tried, and its profile in the best one.

    A ``sim:`` device has one setting, and no tuning.
    """

    graph: Graph
    tuning: Tuning | None
    profile: Profile


def named_device(name: str | None) -> Device:
    """This machine, or the device of an address such as ``sim:pi5``, or the one added by a name.

    Raises:
        UsageError: no device of that name was added.
    """
    if name is None:
        return THIS_MACHINE
    return completed(Device(name, name)) if ":" in name else completed(inventory.find([name])[0])


@showing("measuring")
def bench(
    target: str,
    *,
    device: Device = THIS_MACHINE,
    inputs: Sequence[str] = (),
    data: Path | None = None,
    budget_s: float = 5.0,
    tell: Tell = silent,
) -> Bench:
    """Try the numbers of threads that are worth it, then profile with the best one.

    ``target``, ``inputs`` and ``data`` are as for ``export``. ``budget_s`` is for the settings;
    each is measured once in any case.

    Raises:
        GraphError: the network cannot be read, or a shape of it is not fixed.
        DeviceError: the device cannot be asked, or somebody else holds it.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekit-")))
        tell("reading the network")
        export(target, folder / "net.onnx", inputs=inputs, data=data, tell=tell)
        graph, model = load(folder / "net.onnx", data=data)
        tell(f"connecting to {device.name}")
        connection = connect_all((device,), stack, purpose="a bench")[device.name]
        tuning = tune_device(graph, model, connection, budget_s=budget_s, tell=tell) if not device.described else None
        tell("profiling")
        variant = tuning.best if tuning else None
        return Bench(
            graph,
            tuning,
            profile_graph(graph, model, connection, variant=variant, budget_s=max(budget_s / 5, 0.5)),
        )
