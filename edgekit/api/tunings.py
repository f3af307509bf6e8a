"""The best setting of each device, found by trying, and a ``cluster.toml`` that knows it."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from edgekit.cluster import Cluster
from edgekit.deploy.opening import connect_all
from edgekit.device import Variant
from edgekit.errors import UsageError
from edgekit.files import read, write_bytes
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.tuning import Tuning
from profilers.tuning import tune_device

__all__ = ["tune", "update_variants", "variant_table"]

Tell = Callable[[str], None]

OURS = "# as edgekit tune measured it"


def tune(
    graph: Graph,
    model: Model,
    cluster: Cluster,
    devices: Iterable[str] | None = None,
    batches: Sequence[int] = (),
    budget_s: float = 60.0,
    known: Mapping[str, Tuning] | None = None,
    tell: Tell = lambda text: None,
    keep: Callable[[Tuning], None] = lambda tuning: None,
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
    for device in [cluster.device(name) for name in devices] if devices else cluster.devices:
        with ExitStack() as stack:
            connection = connect_all((device,), stack, purpose="a tuning")[device.name]
            before = known.get(device.name) if known else None
            here: Tell = lambda text, name=device.name: tell(f"{name}: {text}")  # type: ignore[misc]  # noqa: E731  # says which device
            found[device.name] = tune_device(graph, model, connection, batches, budget_s, before, here, keep)
    return found


def variant_table(variant: Variant) -> str:
    """The lines that describe a device with this variant; they go behind those of its ``[[devices]]``."""
    return "\n".join(
        [
            f"[devices.variant]  {OURS}, {time.strftime('%Y-%m-%d')}",
            f"precision = {json.dumps(variant.precision)}",
            f"provider = {json.dumps(variant.provider)}",
            f"threads = {variant.threads}",
        ]
    )


def update_variants(path: Path, variants: Mapping[str, Variant]) -> None:
    """Write the variants of devices into a ``cluster.toml``.

    What stood there of them is commented out; what an earlier tuning wrote is replaced. The rest stays.

    Raises:
        UsageError: the file is no cluster.toml, or devices are not written there as [[devices]].
    """
    if path.suffix != ".toml":
        raise UsageError(f"{path} is no .toml file; write the variants into the cluster.toml that it was made of")
    before = path.read_bytes()
    tables = re.split(r"(?m)^(?=\s*\[)", before.decode())
    written: list[str] = []
    owner = ""
    for table in tables:
        if re.match(r"\s*\[\[", table):
            owner = _name(table) if re.match(r"\s*\[\[\s*devices\s*\]\]", table) else ""
            if owner in variants:
                own = "".join(_comment(line) if re.match(r"\s*variant\s*[.=]", line) else line for line in table.splitlines(keepends=True))
                written.append(f"{own.rstrip()}\n\n{variant_table(variants[owner])}\n")
                continue
        if owner in variants and re.match(r"\s*\[\s*devices\s*\.\s*variant\s*\]", table):
            if OURS not in table:
                written += [_comment(line) for line in table.splitlines(keepends=True)]
                continue
            if not written[-1].strip():
                written.pop()  # the blank line before it
            written += [line for line in table.splitlines(keepends=True) if line.startswith("#")]
            continue
        written.append(table)
    write_bytes(path, f"{''.join(written).rstrip()}\n".encode())
    cluster = read(path, Cluster)
    if lost := [name for name, variant in variants.items() if cluster.device(name).variant != variant]:
        write_bytes(path, before)
        raise UsageError(f"{path}: expected [[devices]] with name = {lost[0]!r}, got another form of TOML; write the variant there by hand")


def _name(table: str) -> str:
    found = re.search(r"""(?m)^\s*name\s*=\s*["'](.*?)["']""", table)
    return found[1] if found else ""


def _comment(line: str) -> str:
    return f"# {line}" if line.strip() and not line.lstrip().startswith("#") else line
