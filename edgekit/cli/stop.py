"""The command that ends pipelines, and says what edgekit has on this machine."""

from typing import Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.options import PipelineName

__all__ = ["stop"]


@command("stop")
def stop(
    name: PipelineName = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Stop every pipeline, and say which folders edgekit has on this machine.")
    ] = False,
) -> None:
    """Stop a deployed pipeline on all of its devices.

    To remove all that edgekit left: edgekit stop --all, then edgekit devices remove NAME for each device, then the folders.
    """
    from edgekit import api, folders

    if everything:
        for each in api.deployed_names():
            print(f"{each}: stopped {', '.join(api.end(api.home_of(each))) or 'nothing, as nothing was running'}")
        there = [str(path) for path in (folders.config(), folders.cache(), folders.state()) if path.exists()]
        print(f"to remove what edgekit has on this machine: rm -r {' '.join(there)}" if there else "edgekit has no folder here")
        return
    if name is None and not api.HERE.is_file() and not api.deployed_names():
        print("nothing was running")
        return
    name = api.pipeline_name(name)
    ended = api.end(api.home_of(name))
    print(f"stopped {', '.join(ended)}" if ended else f"nothing was running for {name}")
