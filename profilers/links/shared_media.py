"""Finds what links share, by whether they slow each other down: a network interface, both directions of it, one radio channel.

trial                                slowed?    medium
a → b  and  a → c                    yes        net:a out      what a sends leaves through one interface
b → a  and  c → a                    yes        net:a in
a → b  and  b → a                    yes        net:a          a half-duplex interface, as those of Wi-Fi are
a → b  and  c → d                    yes        net:air        one channel for all of them
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from statistics import fmean

from edgekit.survey import Sample, Survey

__all__ = ["MARK", "Direction", "shared_media", "trials"]

MARK = "net:"
"""How the names of media that were found begin; others were given."""

SLOWED = 0.4
"""Share of the slowdown that links which share all they have would see, from which on they count as sharing."""

Direction = tuple[str, str]
"""Source and receiver."""


def trials(links: Collection[Direction]) -> list[tuple[Direction, ...]]:
    """Which links have to carry messages at once to find out; first all of them, after which the others may not be needed."""
    found = [tuple(sorted(links))] if len(links) > 1 else []
    names = sorted({name for link in links for name in link})
    for end in (0, 1):
        stars = [tuple(sorted(link for link in links if link[end] == name)) for name in names]
        found += [star for star in stars if len(star) > 1]
    found += [pair for a, b in combinations(names, 2) if len(pair := tuple(sorted({(a, b), (b, a)} & set(links)))) == 2]
    found += list(_disjoint(sorted(links)))
    return list(dict.fromkeys(found))


def _disjoint(links: list[Direction]) -> Iterator[tuple[Direction, ...]]:
    """Pairs of links without a common end; one for each four names is enough."""
    seen = set()
    for one, other in combinations(links, 2):
        ends = frozenset((*one, *other))
        if len(ends) == 4 and ends not in seen:
            seen.add(ends)
            yield one, other


def shared_media(survey: Survey) -> dict[Direction, tuple[str, ...]] | None:
    """The media of each link; None where no links were tried together."""
    alone: dict[tuple[Direction, int], float] = {}
    together: dict[tuple[Direction, ...], list[tuple[float, float]]] = {}
    for sample in survey.samples:
        if sample.condition == "together" and len(sample.with_links) == 1:
            alone[sample.with_links[0], sample.nbytes] = _rate(sample)
    for sample in survey.samples:
        known = alone.get(((sample.source, sample.receiver), sample.nbytes))
        if sample.condition == "together" and len(sample.with_links) > 1 and known is not None:
            together.setdefault(sample.with_links, []).append((_rate(sample), known))
    if not together:
        return None
    return _media({group: _slowed(rates, len(group)) for group, rates in together.items()})


def _rate(sample: Sample) -> float:
    """Bytes per second; answers come in bursts, so only their number counts."""
    return sample.nbytes / fmean(sample.round_trips_s)


def _slowed(rates: list[tuple[float, float]], count: int) -> bool:
    """Whether ``count`` links carry less together than each alone, in sum: TCP does not share fairly, and may starve some entirely."""
    return sum(alone for _, alone in rates) * count / len(rates) > (1 + SLOWED * (count - 1)) * sum(rate for rate, _ in rates)


def _media(slowed: Mapping[tuple[Direction, ...], bool]) -> dict[Direction, tuple[str, ...]]:
    links = sorted({link for group in slowed for link in group})
    found: dict[Direction, list[str]] = {link: [] for link in links}
    pairs = [group for group, slow in slowed.items() if slow and len(group) == 2]
    half = {name for a, b in pairs if a == b[::-1] for name in a}
    for name in sorted({name for link in links for name in link}):
        for end, way in ((0, "out"), (1, "in")):
            star = tuple(link for link in links if link[end] == name)
            if len(star) > 1 and slowed.get(star, False):
                for link in star:
                    found[link].append(f"{MARK}{name}" if name in half else f"{MARK}{name} {way}")
    for a, b in pairs:
        if not set(a) & set(b):
            for link in links:
                if set(link) <= {*a, *b}:
                    found[link].append(f"{MARK}air")
        elif a == b[::-1]:
            for link in (a, b):
                found[link].append(f"{MARK}{min(a)}↔{max(a)}")
    return {link: tuple(sorted(set(media))) for link, media in found.items()}
