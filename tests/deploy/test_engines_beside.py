"""The example engine of notebooks/reference_backend, installed beside onnxruntime: measured, placed, and served beside a CPU stage."""

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from devices import connect
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Device, Variant
from edgekit.errors import DeviceError, GraphError
from edgekit.plan import Stage, chain
from edgekit.profiles import Profiles
from edgekit.runtime.engine.executor import run_once
from partitioner.cost import price
from profilers.measure import profiler
from profilers.measure.segments import measure_segments
from tests.models import skipping

EXAMPLE = Path(__file__).parents[2] / "notebooks" / "reference_backend"
REFERENCE = Variant(engine="reference")
NET = skipping()
COUNT = len(NET.graph.units)
CLUSTER = Cluster((Device("pi"), Device("npu", variant=REFERENCE)), (Link(ANY, ANY, 1e-4, 1e8),))


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The example where pip would put it: its module, and its entry points as pyproject.toml has them."""
    packages = tmp_path_factory.mktemp("packages")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    facts = packages / f"edgekit_reference_backend-{project['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    text = "".join(f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items()) for group, entries in groups)
    (facts / "entry_points.txt").write_text(text)
    shutil.copy(EXAMPLE / "reference_backend.py", packages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(packages), prepend=":")
        yield


def test_a_segment_of_an_engine_is_measured_placed_and_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiler, "MOST_BURSTS", profiler.LEAST_BURSTS)
    with connect(CLUSTER.device("npu")) as connection:
        assert connection.facts().engines[-1].name == "reference"
        profile = profiler.profile_graph(NET.graph, NET.model, connection, budget_s=0.05)
        opaque = measure_segments(NET.graph, NET.model, connection, profile, [(3, COUNT)], burst_s=0.02, most_s=0.0)
    assert opaque.profiled_s is None
    assert opaque.compute_units == "compute units: reference 1"
    assert opaque.segment(3, COUNT) is not None and opaque.runs_on == "cpu"
    # one kernel over all units: what was not measured is in proportion to the multiplications
    macs = [NET.graph.segment(unit, unit + 1).macs for unit in range(COUNT)]
    assert opaque.unit_s == pytest.approx([opaque.whole.p50_s * each / sum(macs) for each in macs])
    assert (opaque.compute_s(3, COUNT)[1], opaque.compute_s(2, COUNT)[1]) == ("measured", "estimated")

    plan = chain(NET.graph, (Stage(0, 3, ("pi",)), Stage(3, COUNT, ("npu",), REFERENCE)))
    profiles = Profiles((opaque, msgspec.structs.replace(opaque, device="pi", variant=Variant())))
    cost = price(plan, NET.graph, CLUSTER, profiles)
    assert {term.name: term.badge for term in cost.terms}["compute 1@npu"] == "measured"
    with deploy(plan, NET.graph, NET.model, CLUSTER) as pipeline, pipeline.client() as client:
        assert pipeline.equality is not None and pipeline.equality.worst <= pipeline.equality.tolerance == 1e-4
        frames = [NET.inputs(seed) for seed in range(3)]
        for frame, result in zip(frames, client.stream(frames), strict=True):
            np.testing.assert_allclose(result.value()["y"], run_once(NET.data, frame)["y"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "error", "expected"),
    [
        (
            Variant(engine="hailo"),
            DeviceError,
            "npu has no engine hailo, only: onnxruntime, reference; install its package beside edgekit there",
        ),
        (
            Variant("int8", engine="reference"),
            GraphError,
            "engine reference refuses the segment: ValueError: expected precision fp32, got int8",
        ),
    ],
)
def test_an_engine_that_is_not_there_or_refuses_a_segment_is_named(variant: Variant, error: type[Exception], expected: str) -> None:
    with connect(msgspec.structs.replace(CLUSTER.device("npu"), variant=variant)) as connection, pytest.raises(error, match=expected):
        profiler.profile_graph(NET.graph, NET.model, connection, budget_s=0.05)
