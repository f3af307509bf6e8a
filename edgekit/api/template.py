"""A first ``cluster.toml``, with comments, for a person to go on from."""

import json
from collections.abc import Sequence
from pathlib import Path

from edgekit.device import Device
from edgekit.errors import UsageError
from edgekit.files import write_bytes

__all__ = ["first_cluster", "write_first_cluster"]

_HEAD = """\
# Which devices there are, and which links lead from one to another.
# docs/cluster.md describes every field. No command of edgekit changes this file:
# what is measured is kept beside it, in {beside}.

client = {client}  # this machine: inputs come from it, and results go to it
"""
_ADDED = """
[[devices]]
name = {name}  # {address}, as it was added
# memory_bytes = 400_000_000  # no plan uses more memory than this
# variant = {{ threads = 4 }}  # unless given, what edgekit tune finds
"""
_BOARD = """
[[devices]]
name = {name}  # {address}, as it was added
# memory_bytes = 65_536  # no plan uses more of its RAM than this
# insn_per_s = 25_000_000  # of an emulated board: instructions that it runs in a second
"""
_MEASURED = """
# Links are measured by: edgekit survey net.onnx -c {path}
# To plan before that, or with other links, describe them:
# [[links]]
# source = "*"
# receiver = "*"
# latency_s = 0.002
# bytes_per_s = 12.5e6  # 100 Mbit/s
# fixed = true  # keep these figures, whatever a survey finds
"""
_LOCAL = """
[[devices]]
name = "near"
address = "local:"  # a process on this machine,
speed = 0.25  # which plays a machine with a quarter of its speed
# memory_bytes = 400_000_000  # no plan uses more memory than this

[[devices]]
name = "far"
address = "local:"
# For a machine over SSH: edgekit devices add pi ssh://USER@HOST, then only name = "pi" here.

[[links]]
source = "*"  # from each to each
receiver = "*"
latency_s = 0.002
bytes_per_s = 2.5e6  # 20 Mbit/s,
shaped = true  # which edgekit plays between processes on this machine
"""


def first_cluster(devices: Sequence[Device], path: Path) -> str:
    """The text of a cluster file with these devices; without any, with two on this machine."""
    names = [device.name for device in devices]
    client = next(name for name in ("client", "here", f"not {names}") if name not in names)
    head = _HEAD.format(client=json.dumps(client), beside=path.with_suffix(".measured.json").name)
    if not devices:
        return head + _LOCAL
    tables = ((_BOARD if each.board else _ADDED).format(name=json.dumps(each.name), address=each.address) for each in devices)
    return head + "".join(tables) + _MEASURED.format(path=path)


def write_first_cluster(devices: Sequence[Device], path: Path) -> None:
    """Write such a file where there is none.

    Raises:
        UsageError: there is one, or it is to have another ending.
    """
    if path.suffix != ".toml":
        raise UsageError(f"expected a file that ends in .toml, got {path}; change -c")
    if path.exists():
        remedy = "edit it, or write another: edgekit init -c OTHER.toml"
        raise UsageError(f"{path} is there already, and is not overwritten; {remedy}")
    write_bytes(path, first_cluster(devices, path).encode())
