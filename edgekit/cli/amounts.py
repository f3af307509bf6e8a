"""Amounts as people write them: 50ms, 300MB, 25Mbit."""

from msgspec.structs import replace

from edgekit.cluster import Cluster
from edgekit.constraints import Constraints, Limit, Pin, Private
from edgekit.errors import UsageError
from edgekit.graph import Graph
from edgekit.sweep import Knob

__all__ = ["address", "amount", "at_quantile", "capped", "constraints", "knob", "numbers", "pairs"]

SCALES = {
    "seconds": {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0},
    "bytes": {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "bytes per second": {"bit": 0.125, "kbit": 125.0, "Mbit": 125e3, "Gbit": 125e6, "kB": 1e3, "MB": 1e6, "GB": 1e9},
    "joules": {"uJ": 1e-6, "mJ": 1e-3, "J": 1.0},
    "a number": {"": 1.0},
}


def amount(text: str, what: str) -> float:
    """A positive amount in SI units.

    Raises:
        UsageError: not a number with one of the units of ``what``.

    >>> amount("50ms", "seconds"), amount("300MB", "bytes")
    (0.05, 300000000.0)
    """
    scales = SCALES[what]
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµ")
    unit = text.strip()[len(number) :]
    try:
        found = float(number) * scales[unit]
    except (ValueError, KeyError):
        units = ", ".join(f"3{each}" for each in scales)
        raise UsageError(f"expected {what} such as {units}, got {text!r}; write a number with its unit") from None
    if not found > 0:
        raise UsageError(f"expected {what} above zero, got {text!r}")
    return found


def address(text: str) -> tuple[str, int]:
    """Where somebody listens.

    Raises:
        UsageError: no host and port.

    >>> address("pi.local:7000"), address("[::1]:7000")
    (('pi.local', 7000), ('::1', 7000))
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"expected HOST:PORT, got {text!r}; write it like 10.0.0.4:7000")
    return host.strip("[]"), int(port)


def pairs(texts: list[str] | None, option: str, form: str) -> list[tuple[str, str]]:
    """``LEFT=RIGHT`` of an option that may be repeated."""
    found = [text.rpartition("=") for text in texts or ()]
    if wrong := [text for text, (left, _, right) in zip(texts or (), found, strict=True) if not left or not right]:
        raise UsageError(f"expected {form}, got {wrong[0]!r}; change {option}")
    return [(left, right) for left, _, right in found]


def constraints(
    graph: Graph,
    limits: list[Limit],
    pins: list[str] | None,
    private: list[str] | None,
    together: list[str] | None,
    forbid: list[str] | None,
    require: list[str] | None,
    stages: int | None,
    rate: float | None,
) -> Constraints:
    """What the options ask for.

    Raises:
        UsageError: a unit or a tensor is not of this graph.
    """
    return Constraints(
        tuple(limits),
        tuple(_pin(graph, where, device) for where, device in pairs(pins, "--pin", "UNIT=DEVICE or FIRST:STOP=DEVICE")),
        tuple(_private(graph, tensor, device) for tensor, device in pairs(private, "--private", "TENSOR=DEVICE")),
        tuple(tuple(range(*_units(graph, where))) for where in together or ()),
        tuple(forbid or ()),
        tuple(require or ()),
        stages,
        rate,
    )


def _pin(graph: Graph, where: str, device: str) -> Pin:
    return Pin(*_units(graph, where), device)


def _units(graph: Graph, where: str) -> tuple[int, int]:
    """A range of units, the unit of a node by its name, or those of a torch module by its name."""
    count = len(graph.units)
    first, _, stop = where.partition(":")
    if first.isdecimal() and (stop.isdecimal() or not stop):
        start, end = int(first), int(stop) if stop else int(first) + 1
        if start < end <= count:
            return start, end
    nodes = [graph.unit_nodes(index) for index in range(count)]
    named = [index for index in range(count) if any(node.name == where for node in nodes[index])][:1]
    inside = [index for index in range(count) if any(f"{node.module}.".startswith(f"{where}.") for node in nodes[index])]
    found = named or inside
    if not found:
        raise UsageError(f"{where!r} is neither units below {count} nor a node or module of {graph.name}; edgekit inspect lists them")
    if len(found) <= found[-1] - found[0]:
        ranges = ", ".join(map(str, found))
        raise UsageError(f"the units of {where} ({ranges}) do not stand one after the other; name ranges of units instead")
    return found[0], found[-1] + 1


def _private(graph: Graph, tensor: str, device: str) -> Private:
    if tensor not in {each.name for each in graph.tensors}:
        raise UsageError(f"{graph.name} has no tensor {tensor!r}; its inputs are {', '.join(graph.inputs)}")
    return Private(tensor, device)


def capped(cluster: Cluster, texts: list[str] | None) -> Cluster:
    """The cluster with memory caps, of one device (``DEVICE=300MB``) or of all (``300MB``), where they are tighter than its own."""
    for text in texts or ():
        name, _, size = text.rpartition("=")
        nbytes = int(amount(size, "bytes"))
        if name:
            cluster.device(name)
        devices = tuple(
            replace(each, memory_bytes=min(nbytes, each.memory_bytes or nbytes)) if name in ("", each.name) else each
            for each in cluster.devices
        )
        cluster = replace(cluster, devices=devices)
    return cluster


def at_quantile(cluster: Cluster, quantile: float) -> Cluster:
    """The cluster with its links as slow as that share of their messages was at most."""
    return cluster if quantile == 0.5 else cluster.relinked(lambda link: link.at_quantile(quantile))


def knob(text: str, count: int) -> Knob:
    """What is to be swept: ``bandwidth=1..1000Mbit``, ``latency=1..200ms:9``, ``speed:pi=0.5..4``; steps are equal ratios.

    Raises:
        UsageError: it is written otherwise.

    >>> knob("latency=1..100ms", 3).values
    (0.001, 0.01, 0.1)
    """
    name, _, span = text.rpartition("=")
    kinds = {"bandwidth": "bytes per second", "latency": "seconds"}
    span, _, steps = span.partition(":")
    low, _, high = span.partition("..")
    if not (name in kinds or name.startswith("speed:")) or not high or (steps and not (steps.isdecimal() and int(steps) > 1)):
        raise UsageError(f"expected bandwidth=1..1000Mbit, latency=1..200ms or speed:DEVICE=0.25..4, got {text!r}; change --sweep")
    kind = kinds.get(name, "a number")
    last = amount(high, kind)
    unit = high.strip().lstrip("0123456789.")
    first = amount(low if low.strip()[-1:].isalpha() else f"{low}{unit}", kind)
    number = int(steps) if steps else count
    ratio = (last / first) ** (1 / (number - 1))
    return Knob(name.replace(":", " ", 1), tuple(float(f"{first * ratio**i:.6g}") for i in range(number)))


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas; none where the text is empty.

    Raises:
        UsageError: something else.

    >>> numbers("0.5,1")
    (0.5, 1.0)
    """
    try:
        return tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError as error:
        raise UsageError(f"expected numbers with commas, such as 0.485,0.456,0.406, got {text!r}") from error
