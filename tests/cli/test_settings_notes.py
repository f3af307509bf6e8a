"""What the settings of profiles say to who reads a front."""

from msgspec.structs import replace

from edgekit import api
from edgekit.cli.settings_notes import settings_notes
from edgekit.device import Variant
from edgekit.profiles import Profiles
from tests.models import serial, simulated

NET = serial()
CLUSTER = simulated("a", "b")


def profiled(*threads: int) -> Profiles:
    """Profiles of both devices with these numbers of threads."""
    found = api.profile(NET.graph, NET.model, CLUSTER)
    return Profiles(tuple(replace(each, variant=Variant(threads=n)) for each, n in zip(found, threads, strict=True)))


def test_devices_with_one_variant_in_common_are_not_mentioned() -> None:
    assert not list(settings_notes(NET.graph, CLUSTER, profiled(1, 1)))


def test_devices_without_a_common_variant_take_no_turns() -> None:
    *_, turns = settings_notes(NET.graph, CLUSTER, profiled(1, 2))
    assert turns == (
        "devices take frames in turn only in one variant, and these have none in common "
        "(a: fp32, CPU, 1 thread; b: fp32, CPU, 2 threads); "
        "to try it, give them the same variant in cluster.toml and profile again"
    )


def test_a_profile_of_other_settings_than_the_cluster_has_is_told() -> None:
    first, *_ = settings_notes(NET.graph, CLUSTER, profiled(1, 2))
    assert first.startswith("b was profiled as fp32, CPU, 2 threads; ")
    assert "it is fp32, CPU, 1 thread now" in first
