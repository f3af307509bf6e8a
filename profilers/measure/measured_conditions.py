"""Under which conditions something was measured, and whether they were the same from beginning to end."""

from collections.abc import Sequence

import msgspec

from devices.connection import Connection, FactsReply, Measured
from edgekit.conditions import Conditions, changes
from edgekit.device import Variant
from edgekit.errors import DeviceError
from edgekit.machine import Machine
from edgekit.profile import Profile

__all__ = ["conditions_of", "require_valid"]

OPTIMIZATION = 99
"""onnxruntime's ORT_ENABLE_ALL: the level that stages run at, so the level to profile at."""


def conditions_of(
    connection: Connection, before: FactsReply, after: FactsReply, bursts: Sequence[Measured], variant: Variant
) -> Conditions:
    """What held from ``before`` to ``after``.

    Raises:
        DeviceError: it did not: the device was throttled, or not, at one of the two, or its clocks were set otherwise.
    """
    first, last = _conditions(connection, before), _conditions(connection, after)
    if changed := changes(first, last):
        why = "; ".join(map(str, changed))
        raise DeviceError(f"{connection.device.name}: what was measured is invalid, for meanwhile {why}; see to that, then measure again")
    busy = sum(sum(burst.cpu_s) for burst in bursts) / connection.device.speed
    wall = sum(sum(burst.samples_s) for burst in bursts)
    alone = variant.threads == 1 and all(burst.runs_on == "cpu" for burst in bursts)  # where nothing but that thread works
    return msgspec.structs.replace(
        first,
        wall_over_cpu=wall / busy if busy and alone else None,
        stolen=max((burst.stolen for burst in bursts), default=0.0) or None,
        clock_hz=(*first.clock_hz, *last.clock_hz),
        temperature_c=(*first.temperature_c, *last.temperature_c),
    )


def require_valid(profile: Profile, connection: Connection) -> None:
    """Refuse to add to a profile what would be measured under other conditions.

    Raises:
        DeviceError: a condition is no longer what it was; the message names it.
    """
    if changed := changes(profile.conditions, _conditions(connection, connection.facts())):
        why = "; ".join(map(str, changed))
        raise DeviceError(f"the profile of {connection.device.name} is stale: {why}; run edgekit profile again")


def _conditions(connection: Connection, facts: FactsReply) -> Conditions:
    device, machine = connection.device, facts.machine
    return Conditions(
        machine=machine.architecture,
        processor=machine.processor or machine.architecture,
        engines=tuple(map(str, facts.engines)),
        optimization=OPTIMIZATION,
        spinning=False,
        speed=device.speed,
        cores=device.cores,
        load_average=machine.load_average,
        system=machine.system,
        kernel=machine.kernel,
        governors=tuple(sorted({cluster.governor for cluster in machine.clusters if cluster.governor})),
        power_mode=machine.jetson.power_mode if machine.jetson else None,
        throttled=machine.throttling.now if machine.throttling else (),
        clock_hz=_clock_hz(machine),
        gpus=tuple(f"{gpu.name} with driver {gpu.driver}" for gpu in machine.gpus),
        temperature_c=() if machine.temperature_c is None else (machine.temperature_c,),
        core_count=machine.cores if device.cores is None else len(device.cores),
        memory_bytes=machine.memory_bytes,
    )


def _clock_hz(machine: Machine) -> tuple[float, ...]:
    """Of the fastest cores."""
    clocks = [float(cluster.clock_hz) for cluster in machine.clusters if cluster.clock_hz]
    return (max(clocks),) if clocks else ()
