"""The one way to read ``-c``: a cluster as a person wrote it, with what was measured."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from devices import inventory
from devices.descriptions import completed
from edgekit.cluster import Cluster
from edgekit.deploy.serve.deployment_record import only_deployed
from edgekit.device import SUFFIX, Device, Variant
from edgekit.errors import FormatError, UsageError
from edgekit.files import convert, read, read_toml, write
from edgekit.graph import Graph
from edgekit.measured import Measured, Tuned, with_measured
from edgekit.mistakes import guess
from edgekit.survey import Survey
from edgekit.tuning import Tuning

__all__ = ["HERE", "cluster_name", "keep_survey", "keep_tunings", "pipeline_name", "read_cluster"]

Tell = Callable[[str], None]

HERE = Path("cluster.toml")

PROVIDERS = (
    "CPU",
    "CUDA",
    "Tensorrt",
    "NvTensorRTRTX",
    "MIGraphX",
    "OpenVINO",
    "Dnnl",
    "QNN",
    "CoreML",
    "ACL",
    "Dml",
    "Rknpu",
    "Xnnpack",
)
"""Execution providers of onnxruntime that people call by their short name."""


def read_cluster(
    path: str | Path,
    *,
    graph: Graph | None = None,
    tell: Tell = lambda text: None,
    surveyed: bool = True,
) -> Cluster:
    """The cluster of a ``cluster.toml`` (or ``.json``), with ``cluster.measured.json`` beside it.

    Links are as measured (``surveyed=False``: as written), and devices have the variants tuned for
    ``graph``. What a person wrote wins, and what was measured of a device that has changed is not
    used: ``tell`` gets one sentence about each. ``sim:`` devices get what their description says.

    Raises:
        FormatError: one of the files cannot be read, or holds a mistake.
        UsageError: a device has no address, and none of its name was added.
    """
    cluster, own = _written(Path(path))
    beside = _measured(path)
    if not surveyed:
        beside = Measured(tuned=beside.tuned)
    digest = graph.digest if graph is not None else None
    found, remarks = with_measured(cluster, beside, graph=digest, own=own)
    for remark in remarks:
        tell(remark)
    return replace(found, devices=tuple(completed(device) for device in found.devices))


def cluster_name(path: str | Path) -> str:
    """The name of a file's cluster, and so of the pipeline on it; the rest is not checked."""
    path = Path(path)
    if path.suffix != ".toml":
        return read(path, Cluster).name
    return str(read_toml(path)[0].get("name", _folder(path)))


def pipeline_name(name: str | None = None, path: Path | None = None) -> str:
    """Which pipeline is meant: ``name``, else that of a cluster file, else the only one there is.

    The cluster file is ``path``, or ``cluster.toml`` in this folder.

    Raises:
        UsageError: there is none, or there are several.
    """
    if name is not None:
        return name
    here = path or (HERE if HERE.is_file() else None)
    return cluster_name(here) if here is not None else only_deployed()


def keep_survey(path: str | Path, survey: Survey) -> None:
    """Write a survey beside a cluster file, and the links that follow from it.

    They are ``cluster.survey.json`` and ``cluster.measured.json``, in which tuned variants stay.

    Raises:
        DeviceError: the samples of a link say nothing of its rate.
    """
    from profilers.links.link_fit import with_links

    write(_beside(path, "survey"), survey)
    cluster = read_cluster(path, surveyed=False)
    written = set(cluster.links)
    links = tuple(link for link in with_links(cluster, survey).links if link not in written and not link.fixed)
    apart = tuple((way.source, way.receiver) for way in survey.ways if way.reason is not None)
    write(
        _beside(path, "measured"),
        replace(_measured(path), links=links, apart=apart, devices=cluster.devices),
    )


def keep_tunings(path: str | Path, tunings: Mapping[str, Tuning]) -> None:
    """Write the best variants of devices, each for the graph of its tuning, beside a cluster file."""
    devices = {device.name: device for device in read_cluster(path).devices}
    found = [Tuned(each.graph, devices[name], each.best) for name, each in tunings.items()]
    write(_beside(path, "measured"), _measured(path).tuned_to(*found))


def _beside(path: str | Path, what: str) -> Path:
    """
    >>> str(_beside("garden/lab.toml", "measured"))
    'garden/lab.measured.json'
    """
    return Path(path).with_suffix(f".{what}.json")


def _measured(path: str | Path) -> Measured:
    beside = _beside(path, "measured")
    return read(beside, Measured) if beside.is_file() else Measured()


def _folder(path: Path) -> str:
    return path.resolve().parent.name or "cluster"


def _written(path: Path) -> tuple[Cluster, set[str]]:
    """A cluster as its file says, and the devices whose variant stands there."""
    if path.suffix != ".toml":
        cluster = read(path, Cluster)
        return cluster, {device.name for device in cluster.devices if device.variant != Variant()}
    raw, text = read_toml(path)
    _check_providers(raw, path)
    cluster = convert(
        {"format": "edgekit.cluster", "version": 1, "name": _folder(path), **raw},
        Cluster,
        str(path),
        text=text,
    )
    tables: list[dict[str, Any]] = raw["devices"]
    lacking = [table["name"] for table in tables if "address" not in table]
    added = _added(lacking, path)
    own = {table["name"] for table in tables if "variant" in table}
    written = {table["name"]: table for table in tables}
    devices = (_as_added(each, added.get(each.name), written[each.name]) for each in cluster.devices)
    return replace(cluster, devices=tuple(devices)), own


OF_BOARDS = ("port", "memory_bytes", "flash_bytes", "insn_per_s")
"""What is known of a microcontroller since it was added."""


def _as_added(device: Device, added: Device | None, written: Mapping[str, Any]) -> Device:
    """A device with what is known since it was added, where the file says nothing."""
    if added is None:
        return device
    known = {field: getattr(added, field) for field in OF_BOARDS if field not in written}
    return replace(device, address=added.address, **known)


def _added(names: list[str], path: Path) -> dict[str, Device]:
    """The devices that were added by these names."""
    added = {device.name: device for device in inventory.known()} if names else {}
    if missing := [name for name in names if name not in added]:
        name = missing[0]
        there = f"devices that were added: {', '.join(added)}" if added else "none was added yet"
        told = f"no device called {name} was added, and it has no address"
        raise UsageError(
            f"{path}: {told}{guess(name, list(added)) or ';'} {there}; "
            'if it is on this machine, write address = "local:" there; '
            f"if not, run: edgekit devices add {name} ssh://USER@HOST"
        )
    return {name: added[name] for name in names}


def _check_providers(raw: dict[str, Any], path: Path) -> None:
    """Refuse what is no execution provider of onnxruntime: its short name, or another engine."""
    tables = raw.get("devices")
    for table in tables if isinstance(tables, list) else ():
        variant = table.get("variant") if isinstance(table, dict) else None
        got = variant.get("provider") if isinstance(variant, dict) else None
        if not isinstance(got, str) or got.endswith(SUFFIX):
            continue
        short = {name.lower(): name for name in PROVIDERS}.get(got.lower())
        where = f"{path}: provider of {table.get('name')}"
        if short:
            told = f'expected "{short}{SUFFIX}", got "{got}"'
            raise FormatError(f"{where}: {told}; write the long name")
        told = f'expected an execution provider of onnxruntime, got "{got}"'
        raise FormatError(f'{where}: {told}; write engine = "{got}" for an engine of your own')
