"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Carrying", "ClusterFile", "Data", "Insecure", "OptionalClusterFile", "PipelineName", "Shapes", "Twins", "require"]

_CLUSTER = typer.Option("-c", "--cluster", help="cluster.toml: devices and links, as docs/cluster.md describes it.")

ClusterFile = Annotated[Path, _CLUSTER]
OptionalClusterFile = Annotated[Path | None, _CLUSTER]

PipelineName = Annotated[
    str | None,
    typer.Option("-n", "--name", help="The deployed pipeline; unless given, that of ./cluster.toml, or the only one there is."),
]

Shapes = Annotated[
    list[str] | None, typer.Option("--input", help="Shape of an input: 1x3x224x224, x:1x3x224x224 or ids:int64:1x16; may be repeated.")
]

Twins = Annotated[
    list[Path] | None, typer.Option("--twin", help="The same network in another precision, which stages may use; may be repeated.")
]

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Inputs as the network will see them, as for edgekit run: .npz, .npy or a folder; else made up."),
]

Carrying = Annotated[
    str,
    typer.Option("--transport", help="What carries the data: socket, or grpc (needs grpcio)."),
]

Insecure = Annotated[bool, typer.Option("--insecure", help="Send data without TLS: others on the network can read and change it.")]


def require(command: str, **given: object) -> None:
    """Name what was left out.

    ``command``: how it is written in full. ``given``: each option, as it is written, and its value.

    Raises:
        UsageError: a value is None.
    """
    from edgekit.errors import UsageError

    if missing := [name.replace("_", "-") for name, value in given.items() if value is None]:
        names = " and ".join(name if name.isupper() else f"--{name}" for name in missing)
        raise UsageError(f"{names} {'is' if len(missing) == 1 else 'are'} missing; write: {command}")
