"""The command that writes a first cluster.toml."""

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.app import command

__all__ = ["init"]


@command("init")
def init(
    cluster: Annotated[
        Path,
        typer.Option("-c", "--cluster", help="The file to write; it must not be there yet."),
    ] = Path("cluster.toml"),
) -> None:
    """Write a first cluster.toml: the devices that were added, else two on this machine."""
    from edgekit import api

    devices = api.all_devices()
    api.write_first_cluster(devices, cluster)
    names = ", ".join(device.name for device in devices)
    print(f"{cluster}: {names or 'near and far, two devices on this machine'}")
    print(f"next: edgekit auto net.onnx -c {cluster}")
