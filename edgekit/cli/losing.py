"""What codecs lose, on the command line: measured for quantize, read and printed for partition."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.cli.console import progress, table

if TYPE_CHECKING:
    from edgekit.api import Evaluated
    from edgekit.codec import Losses

__all__ = ["measure_losses", "print_judged", "read_losses"]

TABLE = 20
"""Lines that are printed; the file holds all."""

MEANINGS = {
    "error": "answers that are wrong on its account",
    "disagreement": "answers that are not those of the unsplit network",
    "rms": "the outputs' rms that their differences have",
}


def measure_losses(network: Path, output: Path, data: Path | None, labels: Path | None, json: bool) -> None:
    """Write the losses of a network's tensors, and print the largest."""
    from edgekit import api
    from edgekit.errors import UsageError
    from edgekit.files import encode, write

    if data is None:
        raise UsageError("losses need inputs as the network will see them; add: --calibration data.npz")
    graph, model = api.load(network)
    with progress("measuring losses") as tell:
        found = api.measure_losses(api.Judge(graph, model, data, labels), tell=tell)
    write(output, found)
    if json:
        print(encode(found).decode())
        return
    worst = sorted(found.tensors, key=lambda each: -each.loss)[:TABLE]
    rows = [[each.tensor, each.codec, f"{each.loss:.3g}"] for each in worst]
    table("the largest losses", ["tensor", "codec", "loss"], rows)
    print(f"{len(found.tensors)} measured on {found.samples} frames; a loss is the share of {MEANINGS[found.measure]}")
    print(f"next: edgekit profile {network} -c cluster.toml -o run --codecs, then edgekit partition … --losses {output} -O latency,loss")


def read_losses(path: Path | None, codecs: str | None) -> "Losses | None":
    """The losses of a file, of all its codecs or of some."""
    from msgspec.structs import replace

    from edgekit.codec import Losses
    from edgekit.errors import UsageError
    from edgekit.files import read

    if path is None:
        if codecs:
            raise UsageError("--codecs chooses among --losses, which were not given; measure them with edgekit quantize --losses")
        return None
    found = read(path, Losses)
    if codecs is None:
        return found
    asked = codecs.split(",")
    if unknown := set(asked) - set(found.codecs):
        raise UsageError(f"{path} says nothing of {', '.join(sorted(unknown))}; it knows {', '.join(found.codecs) or 'no codec'}")
    return replace(found, tensors=tuple(each for each in found.tensors if each.codec in asked))


def print_judged(judged: "Evaluated") -> None:
    """Of the plans that lose something: what was estimated, and what was measured."""
    rows = [
        [plan.describe(), f"{estimate:.3g}", "not finite" if loss is None else f"{loss:.3g}"]
        for plan, estimate, loss in judged.losses
        if plan.coded
    ]
    if rows:
        table(f"{len(rows)} plans run end to end", ["plan", "loss, summed", "measured"], rows[:TABLE])
