"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Carrying", "Insecure", "Twins"]

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
