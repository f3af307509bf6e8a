"""Which meters a machine has, by their kinds."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power import gpu_meter, ina2xx, ina3221, pmic, rapl
from edgekit.runtime.power.meter import Meter

__all__ = ["KINDS", "choose", "find"]

KINDS: dict[str, Callable[[Here], list[Meter]]] = {
    "ina3221": ina3221.meters,
    "ina2xx": ina2xx.meters,
    "pmic": pmic.meters,
    "rapl": rapl.meters,
    "nvml": gpu_meter.meters,
}
"""In order of preference: what sees more of the machine comes first."""

OF_GPUS = ("ina3221", "ina2xx", "nvml")
"""Those that see what a GPU takes: the other ones would tell of a GPU's work that it costs nothing, as nvml would of a processor's."""


def find(here: Here) -> list[Meter]:
    """All meters that can be read now; why the others cannot be is in ``here.missing``, as ``power.<kind>``."""
    return [meter for look in KINDS.values() for meter in look(here)]


def choose(here: Here, wanted: str | None = None, gpu: bool = False) -> tuple[Meter | None, str | None]:
    """The best meter for work of the processor, or of a ``gpu``; or the one of a kind or at a path; without one, the reason.

    Several of one kind are none, since nothing tells which of them measures what.
    """
    if wanted is not None and wanted not in KINDS:
        there = find(here)
        at_path = next((meter for meter in there if meter.path == wanted), None)
        return at_path, None if at_path else f"no meter at {wanted}; there are {', '.join(meter.path for meter in there) or 'none'}"
    kinds = [wanted] if wanted else [kind for kind in KINDS if (kind in OF_GPUS if gpu else kind != "nvml")]
    for kind in kinds:
        found = KINDS[kind](here)
        if len(found) > 1:
            return None, f"{len(found)} meters of kind {kind} ({', '.join(meter.path for meter in found)}): take one of them by its path"
        if found:
            return found[0], None
    return None, "; ".join(f"{kind}: {here.missing.get('power.' + kind, 'not found')}" for kind in kinds)
