"""local: and sim: devices keep the contract of a Connection."""

from collections.abc import Iterator

import pytest

from devices import Connection, connect
from edgekit.device import Device, Roofline
from edgekit.errors import UsageError
from tests.devices.contract import *  # noqa: F403 - its tests run here against each of the kinds

KINDS = {
    "local": Device("bench", "local:"),
    "sim": Device("bench", "sim:", roofline=Roofline(macs_per_s=1e9, memory_bytes_per_s=1e9)),
}


@pytest.fixture(params=KINDS)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    with connect(KINDS[request.param]) as made:
        yield made


def test_an_address_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="bench: no way to reach 'carrier-pigeon:roof'; addresses begin with local:, sim:"):
        connect(Device("bench", "carrier-pigeon:roof"))
