"""The command that writes a first cluster.toml."""

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.app import command

__all__ = ["init"]


@command("init")
def init(
    cluster: Annotated[Path, typer.Option("-c", "--cluster", help="The file to write; one that is there is left as it is.")] = Path(
        "cluster.toml"
    ),
) -> None:
    """Write a first cluster.toml with the devices that were added; without any, with two on this machine."""
    from edgekit import api

    devices = api.all_devices()
    api.write_first_cluster(devices, cluster)
    names = ", ".join(device.name for device in devices) if devices else "near and far, two devices on this machine"
    print(f"{cluster}: {names}")
    print(f"next: edgekit {'survey' if devices else 'profile'} net.onnx -c {cluster}{'' if devices else ' -o run'}")
