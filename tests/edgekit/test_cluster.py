"""Clusters: which link is meant between two names, and which names may stand there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.cluster import ANY, Cluster, Link, LinkPoint
from edgekit.device import Device
from edgekit.errors import PlanError, UsageError
from tests.strategies import clusters

PI, NANO = Device("pi"), Device("nano")

WIRED = Link("pi", "nano", latency_s=1.0)
FROM_PI = Link("pi", ANY, latency_s=2.0)
TO_NANO = Link(ANY, "nano", latency_s=3.0)
ELSE = Link(ANY, ANY, latency_s=4.0)


@pytest.mark.parametrize("links", [(WIRED, FROM_PI, TO_NANO, ELSE), (ELSE, TO_NANO, FROM_PI, WIRED)])
def test_the_most_exact_link_is_meant_in_whatever_order_they_stand(links: tuple[Link, ...]) -> None:
    cluster = Cluster((PI, NANO), links)
    assert cluster.link("pi", "nano") == WIRED
    assert cluster.link("pi", "client") == FROM_PI
    assert cluster.link("client", "nano") == TO_NANO
    assert cluster.link("nano", "pi") == ELSE
    assert cluster.link("client", "pi") == ELSE


def test_a_wildcard_for_the_source_wins_over_none_and_loses_to_one_for_the_receiver() -> None:
    assert Cluster((PI, NANO), (FROM_PI, TO_NANO)).link("pi", "nano") == FROM_PI


def test_names_without_a_link_cannot_reach_each_other() -> None:
    cluster = Cluster((PI, NANO), (WIRED,))
    assert cluster.link("pi", "nano") == WIRED
    assert cluster.link("nano", "pi") is None
    assert cluster.link("client", "pi") is None


def test_a_message_takes_the_latency_and_its_bytes() -> None:
    assert Link("pi", "nano", latency_s=0.5, bytes_per_s=1000.0).transfer_s(250) == 0.75
    assert Link("pi", "nano", latency_s=0.5).transfer_s(0) == 0.5


def test_a_device_is_found_by_its_name() -> None:
    assert Cluster((PI, NANO)).device("nano") is NANO


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(PlanError, match="no device 'tx2' in cluster bench; it has pi, nano"):
        Cluster((PI, NANO), name="bench").device("tx2")


def test_the_client_is_no_device() -> None:
    with pytest.raises(PlanError, match="client is the client of cluster cluster, which computes nothing; name one of pi"):
        Cluster((PI,)).device("client")


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        (lambda: Cluster((PI, NANO, PI)), "cluster cluster: pi named more than once; give each a name of its own"),
        (lambda: Cluster((PI, NANO, NANO, PI)), "nano, pi named more than once"),
        (lambda: Cluster((PI,), client="pi"), "pi named more than once"),
        (lambda: Cluster((PI,), (Link("pi", "tx2"),)), r"link pi → tx2: add the device, or name one of \*, client, pi"),
        (lambda: Cluster((PI,), (Link("tx2", ANY),)), r"link tx2 → \*: add the device"),
        (lambda: Cluster((PI,), (Link("client", "pi"),), client="laptop"), "link client → pi: add the device, or name one of .*laptop"),
        (lambda: Cluster((PI, NANO), (WIRED, ELSE, WIRED)), "link pi → nano is given twice; keep one"),
        (lambda: Cluster((PI, NANO), (ELSE, Link(ANY, ANY))), r"link \* → \* is given twice; keep one"),
        (lambda: Cluster((PI, Device(ANY))), r"no device can be called \*"),
    ],
)
def test_names_that_clash_or_are_unknown_are_refused(cluster, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=words):
        cluster()


@given(clusters(), st.data())
def test_a_link_that_is_found_fits_the_names_and_none_fits_better(cluster: Cluster, data: st.DataObject) -> None:
    names = st.sampled_from([cluster.client, *(device.name for device in cluster.devices)])
    source, receiver = data.draw(names), data.draw(names)
    fits = [link for link in cluster.links if link.source in (source, ANY) and link.receiver in (receiver, ANY)]
    best = max(fits, key=lambda link: 2 * (link.source != ANY) + (link.receiver != ANY), default=None)
    assert cluster.link(source, receiver) == best


def test_devices_of_one_host_share_its_machine() -> None:
    assert Device("gpu", host="orin").machine == "orin"
    assert Device("pi").machine == "pi"


@pytest.mark.parametrize(
    ("device", "emulated"),
    [
        (Device("a"), False),
        (Device("a", speed=0.5), True),
        (Device("a", "sim:"), True),
        (Device("a", "sim:pi4"), True),
        (Device("a", "ssh:pi@10.0.0.4"), False),
    ],
)
def test_figures_of_a_machine_that_plays_another_are_emulated(device: Device, emulated: bool) -> None:
    assert device.emulated is emulated


def test_between_measured_sizes_a_transfer_is_read_off_the_measurements() -> None:
    #          1 B ── 1 ms      100 B ── 2 ms (one bad median)      300 B ── 1.5 ms     1100 B ── 10 ms, then 1 ms per 100 B
    points = tuple(LinkPoint(n, s, s, s, 15) for n, s in ((1, 1e-3), (100, 2e-3), (300, 1.5e-3), (1100, 1e-2)))
    link = Link("a", "b", 7.0, 1e5, points=points)
    seconds = [link.transfer_s(nbytes) for nbytes in (0, 1, 100, 200, 300, 700, 1100, 1600)]
    assert seconds == pytest.approx([1e-3, 1e-3, 2e-3, 2e-3, 2e-3, 6e-3, 1e-2, 1.5e-2])
    assert seconds == sorted(seconds)
    assert Link("a", "b", 7.0, 1e5).transfer_s(100) == pytest.approx(7.001)
