"""Links are measured at the sizes that will cross them, and at larger ones where those are too small to tell."""

from collections.abc import Callable, Mapping
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from devices import connect
from devices.connection import Probe, Probed
from edgekit.cluster import ANY, Cluster, Link, Shape
from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.machine import Interface
from edgekit.survey import Sample, Survey
from profilers.links.link_fit import cut_sizes, theil_sen, with_links
from profilers.links.shared_media import Direction
from profilers.links.surveyor import sample_links
from tests.models import serial


class Wire:
    """A connection whose round trips take what is written here, both ways."""

    device = Device("a")
    near = None

    def __init__(self, latency_s: float, s_per_byte: float, cpu_s_per_byte: float = 0.0, cpu_s: float = 0.0, queued_s: float = 0.0):
        self.latency_s, self.s_per_byte, self.cpu_s_per_byte = latency_s, s_per_byte, cpu_s_per_byte
        self.cpu_s, self.queued_s = cpu_s, queued_s
        self.asked: list[tuple[int, ...]] = []
        self.pulled: list[bool] = []

    def facts(self) -> Any:
        return SimpleNamespace(machine=SimpleNamespace(interfaces=(Interface("eth0", ("127.0.0.1/8",)),)))

    def probe(self, request: Probe) -> Probed:
        if request.host is None:
            return Probed(host="127.0.0.1", port=1)
        if request.window == 1:
            self.pulled.append(request.pull)
            self.asked.append(request.sizes)
        trips = tuple((2 * self.latency_s + size * self.s_per_byte,) * request.samples for size in request.sizes)
        each_s = self.cpu_s if request.window == 1 else self.queued_s
        cpu = tuple(2 * each_s + size * self.cpu_s_per_byte for size in request.sizes)
        return Probed(host="127.0.0.1", port=0, round_trips_s=trips, send_cpu_s=cpu, receive_cpu_s=cpu)


def measured(wire: Wire, link: Link, sizes: tuple[int, ...] = (1, 1000, 20000)) -> Cluster:
    cluster = Cluster((Device("a"), Device("b")), (link,))
    return surveyed(cluster, {"a": wire, "b": wire}, [("a", "b")], sizes)


def surveyed(cluster: Cluster, connections: Mapping[str, Any], pairs: list[Direction], sizes: tuple[int, ...]) -> Cluster:
    return with_links(cluster, Survey("today", *sample_links(cluster, connections, pairs, sizes)))


def test_latency_rate_and_processor_time_are_read_from_the_round_trips() -> None:
    wire = Wire(0.001, 1e-6, 2e-9)
    cluster = measured(wire, Link(ANY, ANY, media=("air",)))
    link = cluster.link("a", "b")
    assert link is not None and link.badge == "measured" and link.media == ("air",)
    assert link.latency_s == pytest.approx(0.001, rel=1e-3) and link.bytes_per_s == pytest.approx(1e6, rel=1e-3)
    assert link.send_s_per_byte == pytest.approx(2e-9) and link.receive_s_per_byte == pytest.approx(2e-9)
    assert [point.nbytes for point in link.points] == [1, 1000, 20000]
    assert wire.asked == [(1, 1000, 20000)]
    assert cluster.link("b", "a") == Link(ANY, ANY, media=("air",))  # what was not measured stays as described


def test_what_a_message_costs_the_processors_is_that_of_several_in_flight() -> None:
    link = measured(Wire(0.001, 1e-6, 2e-9, 3e-4, 5e-5), Link(ANY, ANY)).link("a", "b")
    assert link is not None
    assert link.send_s_per_message == pytest.approx(5e-5) and link.receive_s_per_message == pytest.approx(5e-5)
    assert link.send_s(1000) == pytest.approx(5e-5 + 2e-6) == link.receive_s(1000)


@pytest.mark.parametrize(("queued", "seconds"), [(50, 1e-5), (3, 2e-4), (0, 2e-4)])
def test_where_few_are_in_flight_at_once_a_single_one_tells(queued: int, seconds: float) -> None:
    samples = [Sample("a", "b", "idle", size, (1e-3 + size * 1e-8,) * 9, 4e-4 + size * 1e-9) for size in (1, 1000, 1_000_000)]
    several = [Sample("a", "b", "queued", size, (1e-4,) * queued, 2e-5 + size * 1e-9) for size in (1, 1000) if queued]
    link = with_links(Cluster((Device("a"), Device("b"))), Survey("today", (), (*samples, *several))).link("a", "b")
    assert link is not None and link.send_s_per_message == pytest.approx(seconds)
    assert link.receive_s_per_message == 0.0  # never negative


def test_the_client_is_never_dialled() -> None:
    board, here = Wire(1e-3, 1e-6), Wire(1e-3, 2e-6)
    cluster = Cluster((Device("a"),), (Link(ANY, ANY),), client="camera")
    cluster = surveyed(cluster, {"a": board, "camera": here}, [("camera", "a"), ("a", "camera")], (1, 1000, 20000))
    assert (board.pulled, here.pulled) == ([], [False, True])
    assert [(link.source, link.receiver) for link in cluster.links] == [("camera", "a"), ("a", "camera"), (ANY, ANY)]


@pytest.mark.parametrize(
    "alone_s",
    [
        pytest.param(lambda nbytes: max(nbytes - 64_000, 0) / 600e3, id="a bucket lets the first 64 kB after a pause pass at once"),
        pytest.param(lambda nbytes: nbytes / 600e3 + nbytes / 2e6, id="a message has to be there before the far end begins"),
    ],
)
@pytest.mark.parametrize("largest", (100_000, 1_000_000))
def test_the_rate_is_that_of_messages_in_a_row(alone_s: Callable[[int], float], largest: int) -> None:
    class Buffered(Wire):
        def probe(self, request: Probe) -> Probed:
            found = super().probe(request)
            if request.host is None or request.window > 1:
                return found
            return msgspec.structs.replace(found, round_trips_s=tuple((1e-3 + alone_s(size),) * request.samples for size in request.sizes))

    link = measured(Buffered(0.0, 1 / 600e3), Link(ANY, ANY), (1, 1000, largest)).link("a", "b")
    assert link is not None and link.bytes_per_s == pytest.approx(600e3)
    assert link.points[-1].p50_s == pytest.approx(alone_s(largest) + 5e-4, rel=0.01)  # one alone takes what it took


def test_answers_that_come_in_bunches_or_late_tell_the_same_rate() -> None:
    def row(nbytes: int, count: int) -> Sample:
        each_s = 1e-4 + nbytes * 1e-6
        bunches = [0.2 * each_s, 1.8 * each_s] * (count // 2)
        bunches[-5] += 2 * each_s
        return Sample("a", "b", "streamed", nbytes, tuple(bunches))

    single = [Sample("a", "b", "idle", size, (1e-3 + size * 2e-6,) * 9) for size in (1, 1000, 100_000)]
    link = with_links(Cluster((Device("a"), Device("b"))), Survey("today", (), (*single, row(25_000, 80), row(100_000, 40)))).link("a", "b")
    assert link is not None and link.bytes_per_s == pytest.approx(1e6, rel=0.02)


def test_where_messages_in_a_row_tell_nothing_single_ones_do() -> None:
    samples = [Sample("a", "b", "idle", size, (1e-3 + size * 1e-6,) * 9) for size in (1, 1000, 100_000)]
    equal = [Sample("a", "b", "streamed", size, (0.1,) * 9) for size in (25_000, 100_000)]
    for row in ([], equal):
        link = with_links(Cluster((Device("a"), Device("b"))), Survey("today", (), (*samples, *row))).link("a", "b")
        assert link is not None and link.bytes_per_s == pytest.approx(1e6, rel=0.01)


def test_where_a_rate_does_not_show_larger_messages_are_sent() -> None:
    wire = Wire(1e-4, 1e-9)
    link = measured(wire, Link(ANY, ANY), (1, 100)).link("a", "b")
    assert wire.asked == [(1, 100), (3200,), (102_400,), (3_276_800,)]
    assert link is not None and link.bytes_per_s == pytest.approx(1e9, rel=0.01)


def test_a_link_on_which_size_makes_no_difference_is_an_error() -> None:
    with pytest.raises(DeviceError, match="a → b: larger messages were not slower; the machine is too busy to measure, try again"):
        measured(Wire(1e-3, 0.0), Link(ANY, ANY))


def test_pairs_without_a_link_are_left_out() -> None:
    assert measured(Wire(1e-3, 1e-6), Link("b", "a")).link("a", "b") is None


def test_a_cluster_that_describes_no_link_has_those_that_were_found() -> None:
    wire = Wire(1e-3, 1e-6)
    cluster = surveyed(Cluster((Device("a"), Device("b"))), {"a": wire, "b": wire}, [("a", "b")], (1, 1000, 20000))
    link = cluster.link("a", "b")
    assert link is not None and link.bytes_per_s == pytest.approx(1e6, rel=0.01)
    assert cluster.link("b", "a") is None


def test_sizes_are_those_of_the_cuts_but_for_the_largest() -> None:
    assert sorted(cut.nbytes for cut in serial().graph.cuts) == [512, 768, 768, 1024, 1280, 1536]
    assert cut_sizes(serial().graph) == (1, 512, 768, 1024, 1280)


@pytest.mark.parametrize("order", list(permutations(range(3)))[:3])
def test_one_bad_point_in_five_does_not_move_the_line(order: tuple[int, ...]) -> None:
    x = [0.0, 1.0, 2.0, 3.0, 4.0]
    y = [1.0, 3.0, 5.0, 7.0, 9.0]
    y[order[0]] = 50.0
    assert theil_sen(x, y).slope == pytest.approx(2.0, abs=0.7)
    assert theil_sen([1.0, 1.0], [2.0, 4.0]) == (3.0, 0.0)


def bare(rate: float) -> Survey:
    """A link of a millisecond's delay that takes 3 ms there and back, and carries so much."""
    sizes = (1, 1000, 1_000_000)
    idle = [Sample("a", "b", "idle", size, (0.003 + size / rate,) * 9, 4e-4 + size * 1e-9, 2e-4) for size in sizes]
    streamed = [Sample("a", "b", "streamed", size, (size / rate,) * 20) for size in (250_000, 1_000_000)]
    return Survey("today", bare=(*idle, *streamed))


def test_shaped_links_that_were_not_measured_take_what_the_transport_does_besides() -> None:
    shaped = Link(ANY, ANY, 0.01, 1e6, media=("air",), shaped=True)
    cluster = with_links(Cluster((Device("a"), Device("b")), (Link("a", "b", 0.5), shaped)), bare(2e8))
    assert cluster.link("a", "b") == Link("a", "b", 0.5)
    link = cluster.link("client", "a")
    assert link is not None and (link.badge, link.media, link.shape, link.points) == ("spec", ("air",), Shape(0.01, 1e6), ())
    assert link.transfer_s(1_000_000) == pytest.approx(1.0105)  # the delay, half a millisecond of the transport, and a second
    assert link.send_s(1000) == pytest.approx(2e-4 + 1e-6) and link.receive_s(1000) == pytest.approx(1e-4)


def test_no_shaped_link_is_faster_than_what_this_machine_carries() -> None:
    cluster = Cluster((Device("a"),), (Link("client", "a", 0.01, 1e9, shaped=True),))
    link = with_links(cluster, bare(2e8)).link("client", "a")
    assert link is not None and link.bytes_per_s == pytest.approx(2e8) and link.shape == Shape(0.01, 1e9)


def test_small_sizes_that_differ_by_noise_alone_do_not_move_the_line() -> None:
    x = [1.0, 500.0, 700.0, 1000.0, 1300.0, 32_000.0, 1_000_000.0]
    y = [5e-5, 4e-5, 3e-5, 2e-5, 1e-5, 6e-5, 1e-3]
    assert theil_sen(x, y).slope == pytest.approx(1e-9, rel=0.1)


def test_a_shaped_link_between_agents_is_measured_as_described_and_goes_on_being_shaped() -> None:
    link = Link(ANY, ANY, latency_s=0.01, bytes_per_s=1e6, shaped=True)
    cluster = Cluster((Device("a"), Device("b")), (link,))
    with connect(Device("a")) as a, connect(Device("b")) as b:
        found = surveyed(cluster, {"a": a, "b": b}, [("a", "b")], (1, 10_000, 40_000)).link("a", "b")
    assert found is not None and found.described == Shape(0.01, 1e6) == found.shape
    assert found.latency_s == pytest.approx(0.01, rel=0.3)
    assert found.bytes_per_s == pytest.approx(1e6, rel=0.3)
