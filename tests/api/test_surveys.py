"""Surveys over real agents."""

from msgspec.structs import replace

from edgekit import api
from edgekit.cluster import ANY, Link, Shape
from profilers.links.link_fit import SIZES, with_links
from tests.models import local, serial


def test_every_link_is_measured_in_both_directions_at_rest_and_while_both_ends_compute() -> None:
    net = serial()
    cluster = local("a")
    survey = api.take_survey(cluster, graph=net.graph, model=net.model, thorough=True)
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


def test_a_fixed_link_is_not_measured() -> None:
    net = serial()
    cluster = local("a")
    links = (Link("client", "a", bytes_per_s=1e6, fixed=True), Link("a", "client"))
    survey = api.take_survey(replace(cluster, links=links), graph=net.graph)
    assert {(way.source, way.receiver) for way in survey.ways} == {("a", "client")}


def test_shaped_links_are_not_measured_and_priced_as_described() -> None:
    cluster = local("a", "b", links=(Link(ANY, ANY, 0.02, 1e6, media=("air",), shaped=True),))
    survey = api.take_survey(cluster)
    assert survey.ways == () == survey.samples and {sample.condition for sample in survey.bare} == {"idle", "queued", "streamed"}
    link = with_links(cluster, survey).link("b", "client")
    assert link is not None and (link.source, link.receiver, link.badge, link.media) == ("b", "client", "spec", ("air",))
    assert link.shape == Shape(0.02, 1e6) and link.bytes_per_s == 1e6
    assert 0.02 < link.latency_s < 0.1 and link.send_s_per_message > 0 < link.receive_s_per_byte
