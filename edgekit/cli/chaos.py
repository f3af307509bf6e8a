"""The proxy between two machines that does to their connection what bad networks do, for developers of edgekit."""

import time
from typing import Annotated

import typer

from edgekit.cli.app import command, group
from edgekit.cli.console import progress

__all__ = ["chaos"]

LOOK_S = 0.2

dev = group("dev", "Tools to test edgekit itself.")


@command("chaos", dev)
def chaos(
    target: Annotated[str, typer.Argument(help="HOST:PORT to connect to, for each connection that comes in.")],
    *,
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on; port 0 takes a free port.")] = "127.0.0.1:0",
    seconds: Annotated[float | None, typer.Option(help="Stop after this time; without it, at Ctrl-C.", min=0.0)] = None,
    seed: Annotated[int, typer.Option(help="The same seed puts the same faults at the same places.")] = 0,
    reset: Annotated[float, typer.Option(help="Share of the chunks (16 KiB each) at which the connection is reset.", min=0, max=1)] = 0.0,
    half: Annotated[float, typer.Option(help="Share of the chunks of which half arrives before a reset.", min=0, max=1)] = 0.0,
    flip: Annotated[float, typer.Option(help="Share of the chunks in which one bit is flipped.", min=0, max=1)] = 0.0,
    stall: Annotated[float, typer.Option(help="Share of the chunks before which nothing moves for --stall-time.", min=0, max=1)] = 0.0,
    pieces: Annotated[float, typer.Option(help="Share of the chunks that arrive in small pieces.", min=0, max=1)] = 0.0,
    stall_time: Annotated[str, typer.Option(help="How long a stall lasts, such as 500ms.")] = "500ms",
    latency: Annotated[str | None, typer.Option(help="Delay in each direction, such as 20ms.")] = None,
    jitter: Annotated[str | None, typer.Option(help="Random extra delay, up to this much in each direction.")] = None,
    rate: Annotated[str | None, typer.Option(help="Bits per second in each direction, such as 5Mbit.")] = None,
    cut_every: Annotated[str | None, typer.Option(help="Reset all connections once in this time, such as 2s.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the counts of the faults as JSON.")] = False,
) -> None:
    """Run a TCP proxy with faults: resets, half messages, flipped bits, stalls and delays."""
    import msgspec

    from edgekit import api
    from edgekit.cli.amounts import address, amount

    bytes_per_s = amount(rate, "bytes per second") if rate else None
    latency_s, jitter_s, cut_s = (amount(text, "seconds") if text else 0.0 for text in (latency, jitter, cut_every))
    faults = api.Faults(reset, half, flip, stall, pieces, amount(stall_time, "seconds"), latency_s, jitter_s, bytes_per_s)
    with api.Chaos(*address(target), faults, seed=seed, listen=address(listen)) as way:
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
