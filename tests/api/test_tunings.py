"""The best setting of a real device."""

from pathlib import Path

import pytest

from edgekit import api
from edgekit.cluster import Cluster
from edgekit.device import Device
from edgekit.errors import UsageError
from tests.models import local, serial


def test_an_agent_is_tuned_and_what_is_known_is_kept_in_the_run_folder(tmp_path: Path) -> None:
    net, run = serial(3), api.Run(tmp_path)
    cluster = Cluster((Device("near", cores=(0,)),), local("near").links)
    found = api.tune(net.graph, net.model, cluster, batches=(2,), budget_s=0.1, keep=run.keep_tuning)
    assert run.tunings() == found
    tuning = found["near"]
    assert [(time.setting.variant.threads, time.setting.batch) for time in tuning.times] == [(1, 1), (1, 2)]
    assert all(time.samples >= 10 and time.cpu_s > 0 for time in tuning.times) and tuning.conditions.cores == (0,)
    assert api.tune(net.graph, net.model, cluster, batches=(2,), known=run.tunings()) == found


def test_a_batch_holds_a_frame_at_least() -> None:
    net = serial(3)
    with pytest.raises(UsageError, match="expected batches of at least 1 frame, got 0; change --batch"):
        api.tune(net.graph, net.model, local("a"), batches=(0,))
