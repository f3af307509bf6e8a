"""Devices that can be exchanged are tried once."""

import pytest
from msgspec import structs

from edgekit.cluster import Cluster, Link
from edgekit.device import Device
from edgekit.errors import PlanError
from edgekit.front import Question
from edgekit.profiles import Profiles
from partitioner.solve.device_kinds import kinds
from partitioner.solve.exact import solve
from tests.partitioner.instances import profile_of, straight

NET = straight([8] * 7)
NAMES = ["a", "b", "c", "d"]
SLOW, QUICK = [1.0] * 6, [0.5] * 6
PROFILES = Profiles(tuple(profile_of(NET, name, SLOW if name in "ac" else QUICK) for name in NAMES))
LINKS = (Link("*", "*", 0.0, 1e6),)
FREELY = Question("free")


DEVICES = tuple(map(Device, NAMES))


def grouped(devices=DEVICES, links=LINKS, profiles=PROFILES, **rest):
    return ["".join(kind) for kind in kinds(Cluster(devices, links), profiles, NAMES, **rest)]


def test_equal_profiles_and_links_make_a_kind():
    assert grouped() == ["ac", "bd"]


def test_a_link_a_cap_a_host_or_a_constraint_of_its_own_sets_a_device_apart():
    assert grouped(links=(*LINKS, Link("a", "b", 0.0, 2e6))) == ["a", "b", "c", "d"]
    assert grouped(links=(*LINKS, Link("a", "c", 0.0, 2e6))) == ["a", "bd", "c"]
    assert grouped(links=(*LINKS, Link("a", "c", 0.0, 2e6), Link("c", "a", 0.0, 2e6))) == ["ac", "bd"]
    assert grouped(devices=(Device("a", memory_bytes=9), *map(Device, "bcd"))) == ["a", "bd", "c"]
    assert grouped(devices=(Device("a", host="box"), Device("b", host="box"), *map(Device, "cd"))) == ["a", "b", "c", "d"]
    assert grouped(apart=("d",)) == ["ac", "b", "d"]


def test_many_devices_of_few_kinds_are_partitioned_in_any_order():
    names = [f"{kind}{i}" for i in range(6) for kind in "ab"]
    profiles = Profiles(tuple(profile_of(NET, name, SLOW if name[0] == "a" else QUICK) for name in names))
    front = solve(NET, Cluster(tuple(map(Device, names)), LINKS), profiles, objectives=("period", "devices"), question=FREELY)
    assert front.best("period").predicted.period_s == 0.5
    assert front.certificate.labels < 3000


def test_more_kinds_than_can_be_tried_in_any_order_are_refused():
    names = [f"d{i}" for i in range(13)]
    profiles = Profiles(tuple(profile_of(NET, name, [1.0 + i] * 6) for i, name in enumerate(names)))
    with pytest.raises(PlanError, match="13 kinds of devices can be used in 8192 ways, 4096 at most"):
        solve(NET, Cluster(tuple(map(Device, names)), LINKS), profiles, question=FREELY)


def test_exchanged_devices_give_the_same_front():
    cluster = Cluster(tuple(map(Device, NAMES)), LINKS)
    apart = Profiles(tuple(structs.replace(profile, base_bytes=i) for i, profile in enumerate(PROFILES)))
    one, other = (solve(NET, cluster, profiles, objectives=("latency", "period"), question=FREELY) for profiles in (PROFILES, apart))
    assert [plan.predicted.period_s for plan in one.plans] == [plan.predicted.period_s for plan in other.plans]
    assert one.certificate.labels < other.certificate.labels
