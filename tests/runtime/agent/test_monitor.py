"""What monitors see of an agent whose stages serve, read by the parser of Prometheus' own client."""

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgekit.runtime.agent.metrics import Sensed, exposition
from edgekit.runtime.agent.monitor import Monitor, heat
from edgekit.runtime.agent.pages import Pages
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.energy_counter import Running
from edgekit.runtime.stage.status_records import Heat
from tests.runtime.bed import eventually
from tests.runtime.stage.test_serving_stage import Bench, frame
from tests.runtime.test_power_meters import ORIN_NANO

Samples = dict[str, dict[frozenset[tuple[str, str]], float]]

BARE = Here("/nowhere", {})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.supervisor.stop(None)


@pytest.fixture
def pages(bench: Bench) -> Iterator[Pages]:
    made = Monitor(bench.supervisor, BARE).serve("127.0.0.1", 0)
    yield made
    made.close()


def got(pages: Pages, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{pages.address}{path}", timeout=20) as answer:
            assert path != "/metrics" or answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def parsed(text: str) -> Samples:
    """Samples by name and labels; each comes once, in a family that says what it is."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("edgekit_") and family.documentation and family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            assert labels not in found.setdefault(sample.name, {}), f"{sample} is told twice"
            found[sample.name][labels] = sample.value
    return found


def of(samples: Samples, name: str, **labels: str) -> list[float]:
    """The values of a name whose labels are these, whatever else they are."""
    return [value for key, value in samples[name].items() if labels.items() <= dict(key).items()]


def test_what_a_running_pipeline_has_counted_is_read_by_prometheus(bench: Bench, pages: Pages) -> None:
    bench.doubling(2)
    with bench.client() as client:
        assert len(list(client.stream(frame(value) for value in range(30)))) == 30
        found = parsed(got(pages, "/metrics")[1])
    for stage in "01":
        assert of(found, "edgekit_frames_total", stage=stage, result="done") == [30]
        assert of(found, "edgekit_frames_total", stage=stage, result="failed") == [0]
        assert (
            of(found, "edgekit_stage_seconds_count", stage=stage)
            == of(found, "edgekit_stage_seconds_bucket", stage=stage, le="+Inf")
            == [30]
        )
        assert of(found, "edgekit_stage_seconds_sum", stage=stage)[0] > 0
        buckets = of(found, "edgekit_stage_seconds_bucket", stage=stage)
        assert buckets == sorted(buckets)
        assert of(found, "edgekit_bytes_total", stage=stage, codec="raw") == [30 * 16] * 2
        assert of(found, "edgekit_reconnects_total", stage=stage) == [0, 0]
        assert of(found, "edgekit_retransmits_total", stage=stage) == of(found, "edgekit_queue_depth", stage=stage) == [0]
    assert of(found, "edgekit_link_seconds_count", stage="0", peer="1") == [30]
    assert of(found, "edgekit_credits", stage="0", peer="1")[0] > 0
    assert {dict(labels)["device"] for labels in found["edgekit_frames_total"]} == {"bench"}


def test_nothing_is_told_of_meters_that_are_not_there(bench: Bench, pages: Pages) -> None:
    bench.lookup()
    with bench.client() as client:
        list(client.stream({"i": np.array([index])} for index in (1, 9)))
        found = parsed(got(pages, "/metrics")[1])
    assert of(found, "edgekit_frames_total", result="failed") == [1]
    assert not set(found) & {"edgekit_temp_celsius", "edgekit_throttled", "edgekit_energy_joules_total"}


def test_an_agent_is_ready_when_all_its_stages_are_linked(bench: Bench, pages: Pages) -> None:
    assert got(pages, "/livez") == (200, "alive\n")
    assert got(pages, "/readyz") == (503, "no stage is loaded\n")
    assert got(pages, "/metrics") == (200, "")
    bench.doubling(2)
    assert got(pages, "/readyz") == (200, "ready\n")
    pid = bench.status(1).pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: got(pages, "/readyz")[0] == 503)
    eventually(lambda: got(pages, "/readyz") == (200, "ready\n"))


def machine(folder: Path, files: dict[str, str]) -> Here:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Here(str(folder), {"vcgencmd get_throttled": "throttled=0x50004"})


ZONE = "sys/class/thermal/thermal_zone{}/{}"
PI = {
    "proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    ZONE.format(0, "type"): "cpu-thermal\n",
    ZONE.format(0, "temp"): "61500\n",
    ZONE.format(1, "type"): "cpu-thermal\n",
    ZONE.format(1, "temp"): "48000\n",
}


def test_heat_and_what_it_holds_back_are_told_where_the_machine_knows(tmp_path: Path) -> None:
    here = machine(tmp_path, PI)
    assert heat(here) == Heat(61.5, ("throttled",))
    assert heat(BARE) == Heat()
    stages = type("None", (), {"status": lambda self: [], "is_free": lambda self: True})()
    found = parsed(Monitor(stages, here).metrics().text)
    assert of(found, "edgekit_temp_celsius", zone="cpu-thermal") == [61.5] and of(found, "edgekit_temp_celsius") == [61.5, 48.0]
    assert of(found, "edgekit_throttled", cause="throttled") == [1] and of(found, "edgekit_throttled", cause="undervoltage") == [0]


def test_watts_become_joules_and_gaps_are_not_bridged(tmp_path: Path) -> None:
    times = iter((100.0, 101.0, 131.0, 132.0))  # a second, too long, a second
    meter = Running(machine(tmp_path, ORIN_NANO), clock=lambda: next(times))
    for _ in range(4):
        meter.look()
    (joules,) = meter.joules().values()
    assert joules == pytest.approx(2 * 5.040 * 1.200)


def test_label_values_may_hold_anything() -> None:
    zone = 'a "zone"\\of\nits own'
    assert of(parsed(exposition([], Sensed({zone: 20.0}, {}, {}))), "edgekit_temp_celsius", zone=zone) == [20.0]
