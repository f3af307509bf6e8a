"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Carrying", "Twins"]

Twins = Annotated[
    list[Path] | None, typer.Option("--twin", help="The same network in another precision, for stages to run in; may be repeated.")
]

Carrying = Annotated[str, typer.Option("--transport", help="What carries the links: socket, or grpc where grpcio is installed.")]
