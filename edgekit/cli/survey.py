"""The command that measures the links of a cluster."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.clusters import read_cluster
from edgekit.cli.console import ms, progress, table
from edgekit.cli.options import Carrying, ClusterFile, Data, Insecure

if TYPE_CHECKING:
    from edgekit.cluster import Cluster, Link
    from edgekit.survey import Survey

__all__ = ["survey"]

LEGEND = """\
latency + rate: a message takes the latency, and its size divided by the rate; while computing: the same with busy processors
largest message: time of the largest one that was sent; one in ten was faster, one in ten was slower
sent again: packets that TCP repeated; medium: links of the same medium share its rate"""

MISSED = 1.02
"""How much more than it carries a shaped link may be described with, unsaid."""


@command("survey")
def survey(
    cluster: ClusterFile,
    *,
    network: Annotated[Path | None, typer.Argument(help="An exported network: use its message sizes, and load.")] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Measure also shaped links, links under load, and links at the same time.")
    ] = False,
    replay: Annotated[Path | None, typer.Option("--replay", help="Use this survey file instead of measuring.")] = None,
    transport: Carrying = "socket",
    insecure: Insecure = False,
    data: Data = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Measure the links: which device reaches which, and how fast.

    Shaped links between local: devices are not measured: edgekit makes them as they are described. --thorough measures them too.

    The cluster file stays as it is. The links are kept beside it, in cluster.measured.json, where every command finds them; the
    samples that they come from in cluster.survey.json.
    """
    from edgekit import api
    from edgekit.files import encode, read
    from edgekit.survey import Survey

    graph, model = api.load(network, data=data) if network is not None else (None, None)
    written = read_cluster(cluster, graph, surveyed=False)
    if replay is not None:
        found = read(replay, Survey)
    else:
        with progress("surveying") as tell:
            found = api.take_survey(
                written, graph=graph, model=model, thorough=thorough, tell=tell, transport=api.transport_of(transport), secure=not insecure
            )
    api.keep_survey(cluster, found)
    surveyed = api.read_cluster(cluster)
    if json:
        print(encode(surveyed).decode())
        return
    _print(surveyed, found)
    print(f"next: edgekit profile {network or 'net.onnx'} -c {cluster} -o run")


def _print(cluster: "Cluster", survey: "Survey") -> None:
    ways = {(way.source, way.receiver): way for way in survey.ways}
    again: Counter[tuple[str, str]] = Counter()
    for sample in survey.samples:
        if sample.retransmits is not None:
            again[sample.source, sample.receiver] += sample.retransmits
    rows = []
    for link in cluster.links:
        way = ways.get((link.source, link.receiver))
        over = " → ".join(name or "?" for name in (way.source_interface, way.receiver_interface)) if way else ""
        over += " (wireless)" if way and way.wireless else ""
        name = f"{link.source} → {link.receiver}"
        rows.append(
            [name, over, _rate(link), _spread(link), _computing(link), str(again.get((link.source, link.receiver), "")), *_notes(link)]
        )
    columns = ["link", "interfaces", "latency + rate", "largest message", "while computing", "sent again", "medium", "badge"]
    table(f"links of {cluster.name}", columns, rows, words=2)
    print(LEGEND)
    for way in survey.ways:
        if way.reason is not None:
            print(f"{way.source} does not reach {way.receiver}: {way.reason}")
            print("  to lead it through this machine: a [[links]] with that source and receiver, and relay = true")
    for link in cluster.links:
        rate = link.described.bytes_per_s if link.shaped and link.described else None
        if rate is not None and rate > MISSED * link.bytes_per_s:
            told = f"{link.source} → {link.receiver} is described with {rate * 1e-6:.0f} MB/s"
            print(f"{told}; this machine carries {link.bytes_per_s * 1e-6:.0f} MB/s")
    saving = sorted({way.source for way in survey.ways if way.power_save} & {way.receiver for way in survey.ways if way.power_save})
    for name in saving:
        print(
            f"warning: Wi-Fi power save is on at {name}, which can make round trips ten times as long: sudo iw dev wlan0 set power_save off"
        )


def _rate(link: "Link") -> str:
    return f"{ms(link.latency_s)} + {link.bytes_per_s * 8e-6:.0f} Mbit/s"


def _spread(link: "Link") -> str:
    """Of the largest messages."""
    return f"{ms(link.points[-1].p10_s)} to {ms(link.points[-1].p90_s)}" if link.points else ""


def _computing(link: "Link") -> str:
    if link.computing is None:
        return ""
    return f"{ms(link.computing.latency_s)} + {link.computing.bytes_per_s * 8e-6:.0f} Mbit/s"


def _notes(link: "Link") -> list[str]:
    return [", ".join(link.media), f"{link.badge}, emulated" if link.shaped else link.badge]
