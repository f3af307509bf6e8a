"""Profiles of devices: found by device and variant, added, and kept in a folder."""

from pathlib import Path

import pytest
from msgspec import structs

from edgekit.device import Variant
from edgekit.errors import UsageError
from edgekit.profile import Profile
from edgekit.profiles import Profiles, keep_profile, read_profiles
from tests.partitioner.instances import profile_of, straight

NET = straight([1, 1])
QUICK = Variant(threads=4)


def profile(device: str, seconds: float = 1.0, **changes: object) -> Profile:
    return structs.replace(profile_of(NET, device, [seconds]), **changes)


FOUND = Profiles((profile("pi"), profile("nano"), profile("pi", variant=QUICK)))


def test_a_device_has_one_profile_in_each_variant() -> None:
    assert [each.variant.threads for each in FOUND.of("pi")] == [1, 4]
    assert FOUND.of("pi", QUICK) is FOUND.each[2] and FOUND.of("gone") == ()
    assert FOUND.devices == ("pi", "nano") and "nano" in FOUND and "gone" not in FOUND
    with pytest.raises(UsageError, match="expected a profile of nano as fp32 CPU ×4, got one as fp32 CPU ×1"):
        FOUND.of("nano", QUICK)
    with pytest.raises(UsageError, match="expected one profile of pi in each variant, got fp32 CPU ×1 and fp32 CPU ×1"):
        Profiles((profile("pi"), profile("pi", 2.0)))


def test_what_is_added_replaces_the_same_device_and_variant() -> None:
    slow = profile("pi", 9.0)
    assert list(FOUND.add(slow, profile("tx2"))) == [slow, *FOUND.each[1:], profile("tx2")]
    assert len(FOUND) == 3  # what was there is left alone


def test_an_index_gives_the_only_profile_of_a_device() -> None:
    assert FOUND["nano"] == profile("nano")
    for name, message in (("pi", r"got fp32 CPU ×1 and fp32 CPU ×4; use profiles.of"), ("gone", "got none, only of pi, nano")):
        with pytest.raises(UsageError, match=message):
            FOUND[name]


def test_a_folder_holds_profiles_and_those_of_twins(tmp_path: Path) -> None:
    twin = profile("rack/3", variant=Variant("int8"), twin="digest")
    found = Profiles((profile("rack/3"), twin, profile("nano")))
    for each in found:
        keep_profile(tmp_path, each)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nano.profile.json", "rack_3.int8.profile.json", "rack_3.profile.json"]
    assert {each.device: read_profiles(tmp_path).of(each.device) for each in found} == {
        "rack/3": found.of("rack/3"),
        "nano": found.of("nano"),
    }
    assert not read_profiles(tmp_path / "none")
