"""The best setting of each device, found by trying."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from edgekit.api.display import showing
from edgekit.cluster import Cluster
from edgekit.deploy.serve.connections import connect_all
from edgekit.errors import UsageError
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.progress import Tell, in_turn, prefixed, silent
from edgekit.tuning import Tuning
from profilers.measure.tuner import tune_device

__all__ = ["tune"]


@showing("tuning")
def tune(
    graph: Graph,
    model: Model,
    cluster: Cluster,
    *,
    devices: Iterable[str] | None = None,
    batches: Sequence[int] = (),
    budget_s: float = 60.0,
    known: Mapping[str, Tuning] | None = None,
    tell: Tell = silent,
    keep: Callable[[Tuning], None] = lambda tuning: None,
    most_threads: int | None = None,
) -> dict[str, Tuning]:
    """What the graph takes on each device with each execution provider, number of threads and batch. One device at a time.

    What ``known`` holds of a device, measured under the same conditions, is not measured again. ``keep`` gets what is known of a
    device after each round. A power mode is measured where it is in force, and named in the conditions: to set one takes root.

    Raises:
        UsageError: a batch below 1, or a sim: device, which has but one speed.
        DeviceError: a device cannot be asked, or its conditions changed meanwhile.
    """
    if bad := [batch for batch in batches if batch < 1]:
        raise UsageError(f"expected batches of at least 1 frame, got {bad[0]}; change --batch")
    found = {}
    chosen = [cluster.device(name) for name in devices] if devices else cluster.devices
    for device, turn in zip(chosen, in_turn(tell, [1.0] * len(chosen)), strict=True):
        with ExitStack() as stack:
            connection = connect_all((device,), stack, purpose="a tuning")[device.name]
            before = known.get(device.name) if known else None
            here = prefixed(turn, device.name)
            found[device.name] = tune_device(
                graph, model, connection, batches=batches, budget_s=budget_s, before=before, tell=here, keep=keep, most_threads=most_threads
            )
    return found
