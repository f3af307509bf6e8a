"""Surveys over real agents, and what they write into a cluster.toml."""

from itertools import permutations
from pathlib import Path

import pytest
from msgspec.structs import replace

from edgekit import api
from edgekit.cluster import ANY, Cluster, Link, LinkPoint, Rated, Shape
from edgekit.device import Device
from edgekit.errors import UsageError
from edgekit.survey import Survey, Way
from profilers.links import SIZES, with_links
from tests.models import local, serial

TOML = """# my garden
name = "garden"

[[devices]]
name = "near"   # beside the gate

[[links]]       # to begin with
source = "client"
receiver = "near"
bytes_per_s = 1e6

[[links]]
source = "*"
receiver = "*"
bytes_per_s = 2e6

[[devices]]
name = "far"
"""


def test_every_link_is_measured_in_both_directions_at_rest_and_while_both_ends_compute() -> None:
    net = serial()
    cluster = local("a")
    survey = api.take_survey(cluster, net.graph, net.model)
    ends = {("a", "client"), ("client", "a")}
    assert {(way.source, way.receiver) for way in survey.ways} == ends
    assert all(way.reason is None and not way.wireless for way in survey.ways)
    for condition, sizes in (("idle", set(SIZES)), ("computing", {1, 16_000, 256_000, 1_000_000})):
        for link in ends:
            found = {s.nbytes for s in survey.samples if s.condition == condition and (s.source, s.receiver) == link}
            assert found >= sizes
    assert not [s for s in survey.samples if s.condition == "together"]  # within one machine nothing is to be found out that way
    surveyed = with_links(cluster, survey)
    assert {(link.source, link.receiver) for link in surveyed.links if link.badge == "measured"} == ends
    assert all(link.computing is not None for link in surveyed.links if link.badge == "measured")


def measured(*names: str) -> tuple[Link, ...]:
    point = LinkPoint(1, 1e-4, 2e-4, 3e-4, 15)
    rest = {"badge": "measured", "points": (point,), "media": ('net:"a" out',), "computing": Rated(0.5, 7.0), "shaped": True}
    link = Link(ANY, ANY, 0.001, 1.25e7, 1e-9, 2e-9, 3e-5, 4e-5, described=Shape(0.0, 2e6), **rest)  # type: ignore[arg-type]
    return tuple(replace(link, source=a, receiver=b) for a, b in permutations(names, 2))


def test_links_are_written_into_a_cluster_file_and_the_rest_of_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(TOML)
    cluster = api.read_cluster(path)
    links = (*measured("near", "far", "client"), cluster.links[1])
    for _ in range(2):  # a second survey replaces what the first wrote
        api.update_links(path, Cluster(cluster.devices, links, cluster.client, cluster.name))
        assert set(api.read_cluster(path).links) == set(links)
        assert api.read_cluster(path).devices == (Device("near"), Device("far"))
    text = path.read_text()
    assert text.startswith("# my garden") and "# beside the gate" in text
    assert '# source = "client"' in text and text.count("# links as edgekit survey measured them") == 1


def test_names_that_do_not_reach_each_other_have_no_link_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(TOML)
    cluster = api.read_cluster(path)
    ways = (Way("far", "near", "stage 0 cannot be reached at 10.0.0.1:5"),)
    surveyed = with_links(cluster, Survey("today", ways))
    assert surveyed.link("far", "near") is None and surveyed.link("client", "near") is not None
    api.update_links(path, surveyed)
    assert api.read_cluster(path) == surveyed


def test_only_a_cluster_file_is_written_into(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no .toml file; say where to write"):
        api.update_links(tmp_path / "cluster.json", Cluster((Device("a"),), (Link(ANY, ANY),)))
