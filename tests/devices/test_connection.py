"""local: and sim: devices keep the contract of a Connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import Connection, agent_runs, connect
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


def test_a_running_agent_is_found_before_anything_is_opened(tmp_path: Path) -> None:
    ssh = Device("bench", "ssh://bench")
    assert [agent_runs(each, tmp_path) for each in (*KINDS.values(), ssh)] == [False, None, None]
    with connect(KINDS["local"], tmp_path) as made:
        assert made.stays and agent_runs(made.device, tmp_path)
        made.stop()
