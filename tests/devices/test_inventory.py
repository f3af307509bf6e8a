"""Devices by name, kept between commands."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.inventory import Inventory, add, find, known, remove
from edgekit.device import Device
from edgekit.errors import FormatError, UsageError
from edgekit.files import decode, encode
from tests.strategies import nouns

PI = Device("pi", "ssh://pi@10.0.0.5")
NANO = Device("nano", "ssh://nano", memory_bytes=2**32)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "edgekit" / "devices.json"


@given(st.lists(nouns(Device), unique_by=lambda device: device.name).map(tuple))
def test_an_inventory_survives_its_file(there: tuple[Device, ...]) -> None:
    inventory = Inventory(there)
    assert decode(encode(inventory), Inventory) == inventory


def test_what_was_added_is_known_in_that_order_until_it_is_removed() -> None:
    add(PI)
    add(NANO)
    assert known() == (PI, NANO)
    assert find(["nano"]) == (NANO,)
    remove("pi")
    assert find() == (NANO,)


def test_nothing_is_known_to_begin_with(place: Path) -> None:
    assert known() == ()
    assert not place.parent.exists()
    with pytest.raises(UsageError, match="no device is known yet; run: edgekit devices add"):
        find()


def test_adding_again_changes_what_may_change_and_not_the_address() -> None:
    add(PI)
    add(NANO)
    better = Device("pi", PI.address, memory_bytes=2**33)
    add(better)
    assert known() == (better, NANO)
    with pytest.raises(UsageError, match="pi is ssh://pi@10.0.0.5 already; choose another name"):
        add(Device("pi", "ssh://pi@10.0.0.6"))


def test_an_unknown_name_is_answered_with_those_that_are() -> None:
    add(PI)
    with pytest.raises(UsageError, match="expected a device among pi, got 'nano'"):
        find(["pi", "nano"])


def test_a_damaged_file_is_named_and_left_as_it_is(place: Path) -> None:
    place.parent.mkdir()
    place.write_text('{"format":"edgekit.inventory","version":1,"devices":[{"name":"pi"}')
    with pytest.raises(FormatError, match="devices.json"):
        add(PI)
    assert place.read_text().endswith('"pi"}')


def test_additions_at_the_same_time_are_all_kept() -> None:
    there = [Device(f"pi{number}", f"ssh://pi{number}") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, there))
    assert {device.name for device in known()} == {device.name for device in there}
