"""The command that stands between two machines and does to their connection what the world does."""

import time
from typing import Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.console import progress

__all__ = ["chaos"]

LOOK_S = 0.2


@command("chaos")
def chaos(
    target: Annotated[str, typer.Argument(help="HOST:PORT that is dialled for whoever dials this.")],
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on; port 0: any that is free.")] = "127.0.0.1:0",
    seconds: Annotated[float | None, typer.Option(help="How long; until Ctrl-C unless given.", min=0.0)] = None,
    seed: Annotated[int, typer.Option(help="The same faults at the same places of a connection for one seed.")] = 0,
    reset: Annotated[float, typer.Option(help="Share of chunks (16 KiB) at which the connection is reset.", min=0, max=1)] = 0.0,
    half: Annotated[float, typer.Option(help="… of which half arrives, then a reset.", min=0, max=1)] = 0.0,
    flip: Annotated[float, typer.Option(help="… in which one bit arrives otherwise.", min=0, max=1)] = 0.0,
    stall: Annotated[float, typer.Option(help="… before which nothing moves for a while.", min=0, max=1)] = 0.0,
    pieces: Annotated[float, typer.Option(help="… that arrive in small pieces.", min=0, max=1)] = 0.0,
    stall_time: Annotated[str, typer.Option(help="How long a stall is, such as 500ms.")] = "500ms",
    latency: Annotated[str | None, typer.Option(help="Each way, such as 20ms.")] = None,
    jitter: Annotated[str | None, typer.Option(help="Up to so much more, each way.")] = None,
    rate: Annotated[str | None, typer.Option(help="Each way, such as 5Mbit.")] = None,
    cut_every: Annotated[str | None, typer.Option(help="Also reset all connections every so often, such as 2s.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """A TCP proxy with faults: resets, half messages, flipped bits, stalls, delays; to see what a pipeline makes of them."""
    import msgspec

    from edgekit import api
    from edgekit.cli.amounts import address, amount

    bytes_per_s = amount(rate, "bytes per second") if rate else None
    latency_s, jitter_s, cut_s = (amount(text, "seconds") if text else 0.0 for text in (latency, jitter, cut_every))
    faults = api.Faults(reset, half, flip, stall, pieces, amount(stall_time, "seconds"), latency_s, jitter_s, bytes_per_s)
    with api.Chaos(*address(target), faults, seed, address(listen)) as way:
        print(f"{way.address[0]}:{way.address[1]} leads to {target}", flush=True)
        end = None if seconds is None else time.monotonic() + seconds
        cut_at = time.monotonic() + cut_s
        try:
            with progress("chaos") as tell:
                while end is None or time.monotonic() < end:
                    time.sleep(LOOK_S)
                    if cut_s and time.monotonic() > cut_at:
                        way.cut()
                        cut_at += cut_s
                    tell(", ".join(f"{count} {kind}" for kind, count in sorted(way.counts.items())) or "nobody has dialled yet")
        finally:
            counts = dict(sorted(way.counts.items()))
            print(msgspec.json.encode(counts).decode() if json else f"done: {counts}", flush=True)
