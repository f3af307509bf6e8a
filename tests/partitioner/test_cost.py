import pytest
from msgspec import structs

from edgekit.cluster import Cluster, Link
from edgekit.device import Device, Variant
from edgekit.errors import PlanError
from edgekit.graph import Node
from edgekit.plan import Plan, Stage, Transfer
from edgekit.profiles import Profiles
from partitioner.cost import price
from tests.partitioner.instances import graph_of, profile_of, straight

#   bytes           400        200        100         40
#            x ──────▶ [unit 0] ──▶ [unit 1] ──▶ [unit 2] ──▶ y
#   weights            80         160        320
GRAPH = straight([100, 50, 25, 10], [20, 40, 80])

PI = profile_of(GRAPH, "pi", [1.0, 2.0, 4.0], base=1000)
NANO = profile_of(GRAPH, "nano", [0.5, 1.0, 2.0], base=3000)
PROFILES = Profiles((PI, NANO))

#   client ══0.1 s + n/100══▶ any;   pi ──0.5 s + n/1000──▶ nano;   nano ══1/1000 s a byte to send══▶ client
LINKS = (
    Link("client", "*", 0.1, 100.0),
    Link("pi", "nano", 0.5, 1000.0, send_s_per_byte=0.01, receive_s_per_byte=0.02),
    Link("nano", "pi", 0.5, 500.0),
    Link("nano", "client", 0.25, 100.0, send_s_per_byte=0.001),
    Link("pi", "client", 0.25, 100.0, media=("wifi",)),
)
CLUSTER = Cluster((Device("pi"), Device("nano")), LINKS)


def plan(*stages, transfers=()):
    return Plan(GRAPH.digest, tuple(Stage(start, stop, tuple(devices.split("|"))) for start, stop, devices in stages), tuple(transfers))


def cost_of(*stages, cluster=CLUSTER, profiles=PROFILES, transfers=()):
    return price(plan(*stages, transfers=transfers), GRAPH, cluster, profiles)


def seconds(named):
    return {getattr(each, "name", None) or each.resource: pytest.approx(each.seconds) for each in named}


def test_a_split_costs_its_computes_and_messages():
    #        client ──400──▶ pi[0:1] ──200──▶ nano[1:3] ──40──▶ client
    cost = cost_of((0, 1, "pi"), (1, 3, "nano"))
    assert seconds(cost.terms) == {
        "transfer client→pi": 0.1 + 4.0,
        "compute 0@pi": 1.0,
        "transfer pi→nano": 0.5 + 0.2,
        "compute 1@nano": 3.0,
        "transfer nano→client": 0.25 + 0.4,
    }
    assert cost.latency_s == pytest.approx(4.1 + 1.0 + 0.7 + 3.0 + 0.65)
    assert seconds(cost.loads) == {
        "device pi": 1.0 + 200 * 0.01,
        "device nano": 3.0 + 200 * 0.02 + 40 * 0.001,
        "link client→pi": 4.0,
        "link pi→nano": 0.2,
        "link nano→client": 0.4,
    }
    assert cost.period_s == pytest.approx(7.04)


def test_memory_is_the_larger_peak_of_each_process_and_its_rings():
    #   pi   1000 + 1.25 · (2·80        + (400 + 200) + 2·(400 + 200))  running   + 64·(400 + 200)
    #   nano 3000 + 1.25 · (2·(160+320) + (200 + 40) + 2·(200 + 100))  running   + 64·(200 + 40)
    cost = cost_of((0, 1, "pi"), (1, 3, "nano"))
    assert {m.host: m.nbytes for m in cost.memory} == {"pi": 1000 + 2450 + 38400, "nano": 3000 + 2250 + 15360}
    assert cost.peak_memory_bytes == 41850


def test_a_link_has_as_many_buffers_for_large_messages_as_in_the_runtime():
    #   x ──400 000──▶ [unit] ──40 000──▶ y       slots of 256 KiB and two more:   2       8
    graph = straight([100_000, 10_000])
    one = Plan(graph.digest, (Stage(0, 1, ("pi",)),))
    profile = profile_of(graph, "pi", [1.0], measured=[(0, 1, 1.0, 5000)])
    assert price(one, graph, CLUSTER, Profiles((profile,))).memory[0].nbytes == 5000 + 2 * 400_000 + 8 * 40_000


def test_devices_of_one_host_share_its_memory():
    box = Cluster((Device("pi", host="box"), Device("nano", host="box")), LINKS)
    assert [(m.host, m.nbytes) for m in cost_of((0, 1, "pi"), (1, 3, "nano"), cluster=box).memory] == [("box", 41850 + 20610)]


def test_a_measured_segment_replaces_what_was_estimated():
    measured = profile_of(GRAPH, "pi", [1.0, 2.0, 4.0], base=1000, measured=[(0, 1, 1.5, 7777)])
    before = cost_of((0, 1, "pi"), (1, 3, "nano"))
    after = cost_of((0, 1, "pi"), (1, 3, "nano"), profiles=PROFILES.add(measured))
    assert after.latency_s - before.latency_s == pytest.approx(0.5)
    assert {m.host: m.nbytes for m in after.memory}["pi"] == 7777 + 38400
    assert [t.badge for t in after.terms if "compute" in t.name] == ["measured", "estimated"]
    assert after.badge == "spec"  # its links are only described


def test_a_frame_alone_finds_devices_at_rest_and_a_full_pipeline_does_not():
    rested = structs.replace(PI, segments=tuple(structs.replace(each, rested_s=1.5 * each.p50_s) for each in PI.segments))
    usual, cost = (cost_of((0, 1, "pi"), (1, 3, "nano"), profiles=PROFILES.add(pi)) for pi in (PI, rested))
    assert seconds(cost.terms)["compute 0@pi"] == 1.5
    assert cost.latency_s == pytest.approx(usual.latency_s + 0.5)
    assert (cost.loads, cost.period_s) == (usual.loads, usual.period_s)


def test_a_cost_is_measured_when_every_term_is():
    links = tuple(structs.replace(link, badge="measured") for link in LINKS)
    assert cost_of((0, 3, "pi"), cluster=Cluster(CLUSTER.devices, links)).badge == "measured"
    assert cost_of((0, 3, "pi")).badge == "spec"  # its links are only described


def test_segments_of_a_described_device_are_worth_what_its_description_is():
    links = tuple(structs.replace(link, badge="measured") for link in LINKS)
    profiles = PROFILES.add(structs.replace(PI, badge="spec"))
    cost = cost_of((0, 1, "pi"), (1, 3, "nano"), cluster=Cluster(CLUSTER.devices, links), profiles=profiles)
    assert [t.badge for t in cost.terms if "compute" in t.name] == ["spec", "estimated"]
    assert cost.badge == "spec"


def test_a_cost_is_emulated_when_a_profile_of_a_used_device_is():
    profiles = PROFILES.add(structs.replace(NANO, emulated=True))
    assert cost_of((0, 1, "pi"), (1, 3, "nano"), profiles=profiles).emulated
    assert not cost_of((0, 3, "pi"), profiles=profiles).emulated


def test_replicas_share_the_frames_and_the_worst_counts_for_a_frame_alone():
    #   frame  0    1    2    3
    #          pi   nano pi   nano        whole network: pi 7 s, nano 3.5 s
    cost = cost_of((0, 3, "pi|nano"))
    assert seconds(cost.terms) == {"transfer client→pi": 4.1, "compute 0@pi": 7.0, "transfer pi→client": 0.65}
    assert seconds(cost.loads) == {
        "device pi": 3.5,
        "device nano": 1.75 + 20 * 0.001,
        "link client→pi": 2.0,
        "link client→nano": 2.0,
        "link pi→client": 0.2,
        "link nano→client": 0.2,
        "medium wifi": 0.2,
    }
    assert {m.host for m in cost.memory} == {"pi", "nano"}


def test_replicas_meet_as_often_as_their_turns_coincide():
    #   stage 0 on a|b, stage 1 on c|d|e:    frame  0    1    2    3    4    5
    #                                               a→c  b→d  a→e  b→c  a→d  b→e       each pair 1 in 6
    #   stage 1 on c|d:                             a→c  b→d  a→c  b→d                  a and d never meet
    graph = straight([1, 3, 1])
    names = "abcde"
    cluster = Cluster(tuple(map(Device, names)), (Link("*", "*", 0.0, 1.0),))
    profiles = Profiles(tuple(profile_of(graph, name, [1.0, 1.0]) for name in names))

    def loads(first, second):
        stages = (Stage(0, 1, tuple(first)), Stage(1, 2, tuple(second)))
        found = price(Plan(graph.digest, stages), graph, cluster, profiles).loads
        return {load.resource: pytest.approx(load.seconds) for load in found if "client" not in load.resource and "link" in load.resource}

    assert loads("ab", "cde") == {f"link {pair}": 12 / 6 for pair in ("a→c", "a→d", "a→e", "b→c", "b→d", "b→e")}
    assert loads("ab", "cd") == {"link a→c": 6.0, "link b→d": 6.0}


def test_links_of_one_medium_add_up():
    cluster = Cluster(CLUSTER.devices, (Link("*", "*", 0.0, 100.0, media=("wifi",)),))
    cost = cost_of((0, 1, "pi"), (1, 3, "nano"), cluster=cluster)
    assert seconds(cost.loads)["medium wifi"] == (400 + 200 + 40) / 100
    assert cost.period_s == pytest.approx(6.4)


def test_tensors_for_one_receiver_travel_as_one_message_and_a_direct_one_skips_the_stage_between():
    #            ┌──────────── a (40 bytes) ───────────┐
    #   x ─▶ [unit 0] ── b (80) ──▶ [unit 1] ── c (20) ─▶ [unit 2] ─▶ y
    units = [
        [Node("n0", "Op", ("x",), ("a", "b"))],
        [Node("n1", "Op", ("b",), ("c",))],
        [Node("n2", "Op", ("a", "c"), ("y",))],
    ]
    graph = graph_of(units, {"x": 25, "a": 10, "b": 20, "c": 5, "y": 5})
    cluster = Cluster(tuple(map(Device, "ijk")), (Link("*", "*", 1.0, 10.0),))
    profiles = Profiles(tuple(profile_of(graph, name, [0.0, 0.0, 0.0]) for name in "ijk"))
    stages = tuple(Stage(i, i + 1, (name,)) for i, name in enumerate("ijk"))
    sent = [("x", "client", 0), ("b", 0, 1), ("a", 0, 2), ("c", 1, 2), ("y", 2, "client")]
    relayed = price(Plan(graph.digest, stages), graph, cluster, profiles)
    direct = price(Plan(graph.digest, stages, tuple(Transfer(*each) for each in sent)), graph, cluster, profiles)
    assert seconds(relayed.terms)["transfer i→j"] == 1 + 12
    assert seconds(relayed.terms)["transfer j→k"] == 1 + 6
    assert {name: s for name, s in seconds(direct.terms).items() if "transfer" in name} == {
        "transfer client→i": 1 + 10,
        "transfer i→j": 1 + 8,
        "transfer i→k": 1 + 4,
        "transfer j→k": 1 + 2,
        "transfer k→client": 1 + 2,
    }
    assert {m.host: m.nbytes for m in direct.memory}["j"] == 1.25 * (120 + 60 + 2 * 140) + 64 * (80 + 20)  # a counts, too


def test_a_device_visited_twice_adds_up_and_sends_itself_nothing_over_the_network():
    #   client ─▶ pi[0:1] ─▶ nano[1:2] ─▶ pi[2:3] ─▶ client          and  pi[0:1] ─▶ pi[1:3]
    cost = cost_of((0, 1, "pi"), (1, 2, "nano"), (2, 3, "pi"))
    assert seconds(cost.loads)["device pi"] == 1.0 + 4.0 + 200 * 0.01
    assert seconds(cost.terms)["transfer nano→pi"] == 0.5 + 100 / 500
    alone = cost_of((0, 1, "pi"), (1, 3, "pi"))
    assert seconds(alone.terms)["transfer pi→pi"] == 0.0
    assert not any("pi→pi" in load.resource for load in alone.loads)


def test_a_path_taken_twice_is_one_term():
    cost = cost_of((0, 1, "pi"), (1, 2, "nano"), (2, 3, "pi"), transfers=())
    assert len({term.name for term in cost.terms}) == len(cost.terms)
    graph = straight([1, 1, 1, 1, 1])
    profiles = Profiles(tuple(profile_of(graph, name, [1.0] * 4) for name in ("pi", "nano")))
    stages = tuple(Stage(i, i + 1, (name,)) for i, name in enumerate(["pi", "nano", "pi", "nano"]))
    cost = price(Plan(graph.digest, stages), graph, CLUSTER, profiles)
    assert seconds(cost.terms)["transfer pi→nano"] == 2 * (0.5 + 4 / 1000)


def test_the_clients_processor_is_a_resource_where_the_transport_costs_it_time():
    cluster = Cluster((Device("pi"),), (Link("*", "*", 0.0, 1e6, send_s_per_byte=0.125, receive_s_per_byte=0.25),))
    assert seconds(cost_of((0, 3, "pi"), cluster=cluster).loads)["device client"] == 400 * 0.125 + 40 * 0.25


def test_a_message_takes_time_of_both_processors_whatever_its_size_and_no_more_latency_than_its_link():
    free = Link("*", "*", 0.5, 1e6, send_s_per_byte=0.125, receive_s_per_byte=0.25)
    links = (free, structs.replace(free, send_s_per_message=2.0, receive_s_per_message=3.0))
    before, after = (cost_of((0, 1, "pi"), (1, 3, "nano"), cluster=Cluster(CLUSTER.devices, (link,))) for link in links)
    more = {b.resource: b.seconds - a.seconds for a, b in zip(before.loads, after.loads, strict=True) if b.seconds > a.seconds}
    assert more == pytest.approx({"device pi": 5.0, "device nano": 5.0, "device client": 5.0})
    assert after.latency_s == before.latency_s


def test_transport_with_a_core_to_itself_occupies_the_link_and_not_the_device():
    cluster = Cluster(CLUSTER.devices, (Link("*", "*", bytes_per_s=100.0, send_s_per_message=3.0, receive_s_per_message=1.0),))
    roomy = structs.replace(PI, conditions=structs.replace(PI.conditions, core_count=4))
    loads = seconds(cost_of((0, 1, "pi"), (1, 3, "nano"), cluster=cluster, profiles=PROFILES.add(roomy)).loads)
    assert loads == {
        "device pi": 1.0,
        "device nano": 3.0 + 1.0 + 3.0,  # not known, so taken for crowded
        "device client": 3.0 + 1.0,
        "link client→pi": 4.0,
        "link pi→nano": 3.0,  # 200 bytes would be there in 2 s
        "link nano→client": 0.4,
    }


def test_replicas_share_the_messages():
    cluster = Cluster(CLUSTER.devices, (Link("*", "*", send_s_per_message=2.0, receive_s_per_message=3.0),))
    loads = seconds(cost_of((0, 3, "pi|nano"), cluster=cluster).loads)
    assert loads == pytest.approx({**loads, "device pi": 3.5 + 2.5, "device nano": 1.75 + 2.5, "device client": 5.0})


def test_two_devices_without_a_link_are_named():
    cluster = Cluster(CLUSTER.devices, tuple(link for link in LINKS if (link.source, link.receiver) != ("pi", "nano")))
    with pytest.raises(PlanError, match=r"nano is unreachable from pi.*add one"):
        cost_of((0, 1, "pi"), (1, 3, "nano"), cluster=cluster)


def test_a_plan_is_only_priced_with_profiles_of_its_graph_and_variant():
    with pytest.raises(PlanError, match="no profile of nano, only of pi"):
        cost_of((0, 3, "nano"), profiles=Profiles((PI,)))
    with pytest.raises(PlanError, match="of graph other"):
        cost_of((0, 3, "pi"), profiles=Profiles((structs.replace(PI, graph="other"),)))
    with pytest.raises(PlanError, match="make them the same"):
        cost_of((0, 3, "pi"), profiles=Profiles((structs.replace(PI, variant=Variant(threads=4)),)))
