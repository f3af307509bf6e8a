"""What codecs lose, on the command line: measured for quantize, read and printed for partition."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.cli.console import progress, table
from edgekit.wording import counted

if TYPE_CHECKING:
    from edgekit.api import Evaluated
    from edgekit.losses import Losses

__all__ = ["measure_losses", "print_judged", "read_losses"]

TABLE = 20
"""Lines that are printed; the file holds all."""

MEANINGS = {
    "error": "answers that are wrong on its account",
    "disagreement": "answers that are not those of the unsplit network",
    "rms": "the outputs' standard deviation that the rms of their differences has",
}


def measure_losses(network: Path, twins: list[Path] | None, output: Path, data: Path | None, labels: Path | None, json: bool) -> None:
    """Write the losses of a network's tensors, and print the largest."""
    from edgekit import api
    from edgekit.api.evaluation import FOLDS
    from edgekit.errors import UsageError
    from edgekit.files import encode, write

    if data is None:
        raise UsageError("losses need inputs as the network will see them; add: --data x.npz")
    graph, model = api.load(network, twins or ())
    with progress("measuring losses") as tell:
        found = api.measure_losses(api.Judge(graph, model, data, labels=labels), tell=tell)
    write(output, found)
    if json:
        print(encode(found).decode())
        return
    every: list[tuple[float, str, str]] = [(each.loss, each.tensor, each.codec) for each in found.tensors]
    every += [(each.loss, f"units [{each.start}, {each.stop})", each.precision) for each in found.stages]
    rows = [[what, how, f"{loss:.3g}"] for loss, what, how in sorted(every, key=lambda each: -each[0])[:TABLE]]
    table("the largest losses", ["tensor or units", "in", "loss"], rows)
    print(f"{len(every)} measured on {found.samples} frames; a loss is the share of {MEANINGS[found.measure]}")
    if found.ranges:
        others = "others than those it was judged on" if found.samples >= FOLDS else "those it was judged on, as they are few"
        print(f"u8c: each channel of {len(found.ranges)} tensors has a range, seen on {others}")
    print(f"next: edgekit profile {network} -c cluster.toml -o run --codecs, then edgekit partition … --losses {output} -O latency,loss")


def read_losses(path: Path | None, codecs: str | None) -> "Losses | None":
    """The losses of a file, of all its codecs or of some."""
    from msgspec.structs import replace

    from edgekit.errors import UsageError
    from edgekit.files import read
    from edgekit.losses import Losses

    if path is None:
        if codecs:
            raise UsageError("--codecs chooses among --losses, which were not given; measure them with edgekit quantize --losses")
        return None
    found = read(path, Losses)
    if codecs is None:
        return found
    asked = codecs.split(",")
    if unknown := set(asked) - set(found.codecs):
        known, strange = ", ".join(found.codecs) or "no codec", ", ".join(sorted(unknown))
        raise UsageError(f"{path} says nothing of {strange}; it knows {known}; measure more with edgekit quantize --losses")
    ranges = found.ranges if "u8c" in asked else ()
    return replace(found, tensors=tuple(each for each in found.tensors if each.codec in asked), ranges=ranges)


def print_judged(judged: "Evaluated") -> None:
    """Of the plans that lose something: what was estimated, and what was measured."""
    rows = [
        [plan.describe(), "unknown" if estimate is None else f"{estimate:.3g}", "not finite" if loss is None else f"{loss:.3g}"]
        for plan, estimate, loss in judged.losses
    ]
    if rows:
        table(f"{counted(len(rows), 'plan')} run end to end", ["plan", "loss, summed", "measured"], rows[:TABLE])
