"""What links share is found from how they slow each other down."""

from itertools import permutations

import pytest

from edgekit.survey import Sample, Survey
from profilers.links.shared_media import Direction, shared_media, trials

NAMES = ("a", "b", "c", "d")
LINKS = tuple(permutations(NAMES, 2))


def media(resources: dict[str, set[Direction]], links: tuple[Direction, ...] = LINKS) -> dict[Direction, tuple[str, ...]] | None:
    """What is found where links that use one resource at once share it fairly."""

    def trip_s(link: Direction, group: tuple[Direction, ...]) -> float:
        return max([1.0, *(len(users & set(group)) for users in resources.values() if link in users)])

    groups = [*((link,) for link in links), *trials(links)]
    samples = (Sample(*link, "together", 1000, (trip_s(link, group),) * 3, with_links=group) for group in groups for link in group)
    return shared_media(Survey("today", samples=tuple(samples)))


def touching(name: str, *ends: int) -> set[Direction]:
    return {link for link in LINKS if any(link[end] == name for end in ends)}


def test_links_that_share_nothing_have_no_media() -> None:
    assert media({}) == dict.fromkeys(sorted(LINKS), ())


def test_what_one_sends_to_several_leaves_through_one_interface() -> None:
    found = media({"a": touching("a", 0)})
    assert found == {link: (("net:a out",) if link[0] == "a" else ()) for link in sorted(LINKS)}


def test_full_duplex_interfaces_are_two_media_each() -> None:
    found = media({f"{name}{end}": touching(name, end) for name in NAMES for end in (0, 1)})
    assert found == {(a, b): tuple(sorted((f"net:{a} out", f"net:{b} in"))) for a, b in sorted(LINKS)}


def test_a_half_duplex_interface_is_one_medium_for_both_directions() -> None:
    found = media({"a": touching("a", 0, 1)})
    assert found is not None
    assert all("net:a" in found[link] for link in touching("a", 0, 1))
    assert found["b", "c"] == ()


def test_links_on_one_radio_channel_share_the_air() -> None:
    found = media({"air": set(LINKS)})
    assert found is not None
    assert all("net:air" in names for names in found.values())


def test_slight_slowdowns_are_no_medium() -> None:
    link, other = ("a", "b"), ("a", "c")
    alone = [Sample(*each, "together", 1000, (1.0,), with_links=(each,)) for each in (link, other)]
    both = [Sample(*each, "together", 1000, (1.3,), with_links=(link, other)) for each in (link, other)]
    assert shared_media(Survey("today", samples=(*alone, *both))) == {link: (), other: ()}


def test_without_trials_nothing_is_said() -> None:
    assert shared_media(Survey("today")) is None


@pytest.mark.parametrize(("links", "count"), [((), 0), ((("a", "b"),), 0), ((("a", "b"), ("b", "a")), 1), (LINKS, 1 + 4 + 4 + 6 + 1)])
def test_trials_are_few(links: tuple[Direction, ...], count: int) -> None:
    assert len(trials(links)) == count
