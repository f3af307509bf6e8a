"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Carrying", "ClusterFile", "Insecure", "OptionalClusterFile", "PipelineName", "Twins"]

_CLUSTER = typer.Option("-c", "--cluster", help="cluster.toml: devices and links, as docs/cluster.md describes it.")

ClusterFile = Annotated[Path, _CLUSTER]
OptionalClusterFile = Annotated[Path | None, _CLUSTER]

PipelineName = Annotated[
    str | None,
    typer.Option("-n", "--name", help="The deployed pipeline; unless given, that of ./cluster.toml, or the only one there is."),
]

Twins = Annotated[
    list[Path] | None, typer.Option("--twin", help="The same network in another precision, for stages to run in; may be repeated.")
]

Carrying = Annotated[
    str,
    typer.Option(
        "--transport",
        help="What carries the links: socket, grpc where grpcio is installed, or, to compare, torch where torch is (only --insecure).",
    ),
]

Insecure = Annotated[bool, typer.Option("--insecure", help="Without TLS: what travels can be read and changed on its way.")]
