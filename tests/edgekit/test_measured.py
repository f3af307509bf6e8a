"""What was measured of a cluster is used where it still holds, and named with the reason where it does not."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device, Variant
from edgekit.measured import Measured, Tuned, with_measured

NEAR, FAR = Device("near", "local:"), Device("far", "ssh://far")
WRITTEN = Cluster((NEAR, FAR), (Link(ANY, ANY, 0.0, 1e6),))


def link(source: str, receiver: str, rate: float = 5e6) -> Link:
    return Link(source, receiver, 0.001, rate, badge="measured")


MEASURED = Measured((link("near", "far"), link("far", "client"), link("client", "near")), (), (NEAR, FAR))
TUNED = Measured(tuned=(Tuned("net", NEAR, Variant(threads=4)), Tuned("other", NEAR, Variant(threads=2))))


def rates(cluster: Cluster, pairs: Iterable[tuple[str, str]]) -> list[float | None]:
    found = (cluster.link(*pair) for pair in pairs)
    return [each.bytes_per_s if each else None for each in found]


PAIRS = (("near", "far"), ("far", "client"), ("client", "near"), ("far", "near"))


def test_a_measured_link_takes_the_place_of_the_described_one() -> None:
    found, remarks = with_measured(WRITTEN, MEASURED)
    assert rates(found, PAIRS) == [5e6, 5e6, 5e6, 1e6]
    assert remarks == ()


def test_without_described_links_there_are_those_that_were_measured() -> None:
    found, _ = with_measured(replace(WRITTEN, links=()), MEASURED)
    assert rates(found, PAIRS) == [5e6, 5e6, 5e6, None]


@pytest.mark.parametrize(
    ("far", "words"),
    [
        (Device("far", "ssh://other"), "its address was ssh://far and is ssh://other"),
        (Device("far", "ssh://far", speed=0.5), "its speed was 1.0 and is 0.5"),
        (Device("far", "ssh://far", cores=(2, 3)), "its cores was not given and is 2 3"),
        (Device("far", "ssh://far", host="rack"), "its host was not given and is rack"),
        (Device("far", "ssh://far", listen="10.0.0.1"), "its listen was not given and is 10.0.0.1"),
    ],
)
def test_a_changed_device_makes_its_own_links_stale_only(far: Device, words: str) -> None:
    found, remarks = with_measured(replace(WRITTEN, devices=(NEAR, far)), MEASURED)
    assert rates(found, PAIRS) == [1e6, 1e6, 5e6, 1e6]
    assert remarks == (f"far: its measured links are not used, because {words}; run edgekit survey again",)


def test_a_variant_or_a_cap_of_memory_changes_no_link() -> None:
    far = replace(FAR, variant=Variant(threads=2), memory_bytes=10)
    assert with_measured(replace(WRITTEN, devices=(NEAR, far)), MEASURED).remarks == ()


def test_a_device_that_is_gone_takes_its_links_along() -> None:
    found, remarks = with_measured(Cluster((NEAR,), WRITTEN.links), MEASURED)
    assert {(each.source, each.receiver) for each in found.links} == {
        ("client", "near"),
        (ANY, ANY),
    }
    assert remarks == ("far: its measured links are not used, because it is not in the cluster file any more",)


def test_a_fixed_link_stays_as_a_person_wrote_it() -> None:
    fixed = Link("near", "far", 0.0, 2e6, fixed=True)
    found, remarks = with_measured(replace(WRITTEN, links=(fixed, *WRITTEN.links)), MEASURED)
    assert rates(found, PAIRS) == [2e6, 5e6, 5e6, 1e6]
    assert remarks == ("near → far: its measured rate is not used, because the cluster file says fixed = true",)


def test_a_link_that_is_shaped_otherwise_now_is_not_used() -> None:
    shaped = Link(ANY, ANY, 0.0, 1e6, shaped=True)
    before = replace(link("near", "far"), shaped=True, described=shaped.shape)
    known = Measured((before,), (), (NEAR, FAR))
    assert rates(with_measured(replace(WRITTEN, links=(shaped,)), known).cluster, PAIRS) == [
        5e6,
        1e6,
        1e6,
        1e6,
    ]
    slower = replace(shaped, bytes_per_s=5e5)
    found, remarks = with_measured(replace(WRITTEN, links=(slower,)), known)
    assert rates(found, PAIRS) == [5e5, 5e5, 5e5, 5e5]
    assert "near → far: its measured rate is not used, because the cluster file describes the link differently now" in remarks[0]
    assert with_measured(replace(WRITTEN, links=()), known).cluster.links == ()


def test_names_that_did_not_reach_each_other_have_no_link() -> None:
    found, _ = with_measured(WRITTEN, replace(MEASURED, apart=(("far", "near"),)))
    assert rates(found, (*PAIRS, ("near", "client"))) == [5e6, 5e6, 5e6, None, 1e6]
    relayed = replace(WRITTEN, links=(Link("far", "near", relay=True), *WRITTEN.links))
    assert with_measured(relayed, replace(MEASURED, apart=(("far", "near"),))).cluster.link("far", "near") is not None


def test_a_device_runs_a_network_in_the_variant_tuned_for_it() -> None:
    for graph, threads in (("net", 4), ("other", 2), ("third", 1), (None, 1)):
        found, remarks = with_measured(WRITTEN, TUNED, graph=graph)
        assert found.device("near").variant.threads == threads and found.device("far").variant == Variant()
        assert remarks == ()


def test_a_variant_that_a_person_wrote_wins_and_is_named() -> None:
    near = replace(NEAR, variant=Variant(threads=3))
    found, (remark,) = with_measured(replace(WRITTEN, devices=(near, FAR)), TUNED, graph="net", own={"near"})
    assert found.device("near").variant.threads == 3
    assert remark.startswith("near: its tuned variant fp32 CPU ×4 is not used, because the cluster file says fp32 CPU ×3; to use it,")


def test_a_variant_tuned_for_another_machine_is_not_used() -> None:
    near = replace(NEAR, cores=(0,))
    found, (remark,) = with_measured(replace(WRITTEN, devices=(near, FAR)), TUNED, graph="net")
    assert found.device("near").variant == Variant()
    assert "because its cores was not given and is 0; run edgekit tune again" in remark


def test_a_new_tuning_takes_the_place_of_the_one_before_it() -> None:
    again = TUNED.tuned_to(Tuned("net", NEAR, Variant(threads=8)), Tuned("net", FAR, Variant(threads=2)))
    kept = [(each.graph, each.device.name, each.variant.threads) for each in again.tuned]
    assert kept == [("net", "near", 8), ("other", "near", 2), ("net", "far", 2)]
