"""What is told of the devices of a pipeline that stays."""

import pytest

from edgekit.deploy.observe.status import Host
from edgekit.device import Device


@pytest.mark.parametrize(
    ("address", "pages", "told"),
    [
        ("local:", "127.0.0.1:41001", "http://127.0.0.1:41001/metrics"),
        ("ssh://pi@10.0.0.4", "127.0.0.1:9464", "http://127.0.0.1:9464/metrics, after: ssh -N -L 9464:127.0.0.1:9464 ssh://pi@10.0.0.4"),
        ("ssh://pi@10.0.0.4", "0.0.0.0:9464", "http://10.0.0.4:9464/metrics"),
        ("ssh://pi@10.0.0.4", "192.168.1.4:9464", "http://192.168.1.4:9464/metrics"),
    ],
)
def test_metrics_are_told_as_they_are_read_on_this_machine(address: str, pages: str, told: str) -> None:
    assert Host("pi", pages=pages).seen_from_here(Device("pi", address)) == told
