"""A plan made ready to be brought to its devices, and kept, so that it can be brought there again without its network.

.releases/models/<digest>                 artifacts of stages, and the ONNX that they were made of, by the digest of their bytes
.releases/<release>/release.json          what was made of which plan for whom
.releases/<release>/golden.npz            frames, and what the unsplit network answers to them
"""

import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.cluster import Cluster
from edgekit.deploy.serve.golden_frames import Golden, golden_frames
from edgekit.device import Variant
from edgekit.errors import FormatError, UsageError
from edgekit.files import encode, read, write, write_bytes
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import Plan
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.engine.executor import open_session
from edgekit.runtime.verbs import StageSpec
from edgekit.stages.artifact import Artifact
from edgekit.stages.composed_run import Composed, as_unsplit
from edgekit.stages.equality import Scale, tolerance_of
from edgekit.stages.magnitudes import rounding_of
from edgekit.stages.parts import Part, part

__all__ = [
    "Fallback",
    "Release",
    "keep_only",
    "keep_release",
    "kept_fallbacks",
    "kept_frames",
    "kept_release",
    "precisions",
    "prepare",
]

FOLDER = ".releases"
MODELS = "models"

Arrays = Mapping[str, NDArray[np.generic]]


class Fallback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release, and its plan, that does without some devices."""

    without: tuple[str, ...]
    release: str
    plan: Plan


class Release(NamedTuple):
    """A plan with the models of its stages, and golden frames with the unsplit network's answers.

    Where tensors are sent in codecs, or a stage runs in another precision, they are the answers of the stages one after the other,
    as this machine computes them.

    ``name`` is what its stages are called by on the devices. It is another one each time, so that a release can be
    brought to devices that still serve the one before it, also when both are of the same plan. ``fallbacks`` are kept beside it.
    """

    name: str
    plan: Plan
    graph: Graph
    cluster: Cluster
    parts: tuple[Part, ...]
    golden: tuple[Golden, ...]
    fallbacks: tuple[Fallback, ...] = ()


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.release"):
    name: str
    plan: Plan
    graph: Graph
    cluster: Cluster
    specs: tuple[StageSpec, ...]
    fallbacks: tuple[Fallback, ...] = ()
    scales: tuple[tuple[Scale, ...], ...] = ()
    onnx: tuple[str, ...] = ()
    version: int = 2


def prepare(plan: Plan, graph: Graph, model: Model, cluster: Cluster, *, owner: str = "") -> Release:
    """Cut a valid plan's stages out of the network, and have the whole answer golden frames.

    Raises:
        GraphError: the network does not run on them.
    """
    graph = graph.in_order(plan.order)
    name = digest_of(encode(plan) + str(time.time_ns()).encode())
    parts = tuple(part(plan, graph, model, cluster, name, owner=owner))
    unsplit = as_unsplit(plan, model)
    session = open_session(model.serialized, Variant()) if unsplit else None
    composed = None if unsplit else Composed(parts)

    def run(frame: Arrays) -> Arrays:
        if composed is not None:
            return composed.run(frame)
        assert session is not None
        return dict(zip(graph.outputs, session.run(list(graph.outputs), dict(frame)), strict=True))

    used = precisions(plan, graph)
    crossing = (tensor.name for each in parts for tensor in each.spec.outputs)
    exact = unsplit and graph.precision == "fp32"
    golden = golden_frames(graph, model, run, crossing, tolerance_of(*used), rounding_of(*used), enlarge=exact)
    return Release(name, plan, graph, cluster, parts, golden)


def precisions(plan: Plan, graph: Graph) -> tuple[str, ...]:
    """All that a plan computes and sends in."""
    codecs = {each.codec for each in plan.transfers}
    return (graph.precision, *sorted(codecs | {stage.variant.precision for stage in plan.stages}))


def keep_release(release: Release, home: Path) -> None:
    """Write a release down under ``home``."""
    models, folder = home / FOLDER / MODELS, home / FOLDER / release.name
    for folder_ in (models, folder):
        folder_.mkdir(parents=True, exist_ok=True)
    onnx = tuple(digest_of(artifact.onnx) for _, artifact in release.parts)
    for digest, (spec, artifact) in zip(onnx, release.parts, strict=True):
        for name, data in ((spec.model, artifact.data), (digest, artifact.onnx)):
            if not (models / name).exists():
                write_bytes(models / name, data)
    frames = release.golden
    arrays = {f"i{n}": np.stack([each.inputs[t.name] for each in frames]) for n, t in enumerate(release.graph.cuts[0].tensors)}
    arrays |= {f"o{n}": np.stack([each.expected[name] for each in frames]) for n, name in enumerate(release.graph.outputs)}
    np.savez(folder / "golden.npz", **arrays)  # type: ignore[arg-type]  # savez has an option besides arrays
    specs = tuple(spec for spec, _ in release.parts)
    scales = tuple(each.scales for each in frames)
    kept = _Kept(release.name, release.plan, release.graph, release.cluster, specs, release.fallbacks, scales, onnx)
    write(folder / "release.json", kept)


def kept_release(name: str, home: Path) -> Release:
    """A release that was kept under ``home``.

    Raises:
        UsageError: it was not, or is no longer.
    """
    folder, kept = home / FOLDER / name, _kept(name, home)
    models = home / FOLDER / MODELS
    digests = kept.onnx or tuple(spec.model for spec in kept.specs)
    parts = tuple(Part(spec, _artifact(spec, digest, models)) for spec, digest in zip(kept.specs, digests, strict=True))
    return Release(name, kept.plan, kept.graph, kept.cluster, parts, _golden(kept, folder), kept.fallbacks)


def _artifact(spec: StageSpec, onnx: str, models: Path) -> Artifact:
    data = (models / spec.model).read_bytes()
    source = data if onnx == spec.model else (models / onnx).read_bytes()
    return Artifact(spec.variant.engine, data, spec.model, source, spec.inputs, spec.outputs)


def kept_frames(name: str, home: Path) -> tuple[Arrays, ...]:
    """The golden frames of a release that was kept under ``home``.

    Raises:
        UsageError: it was not, or is no longer.
    """
    return tuple(each.inputs for each in _golden(_kept(name, home), home / FOLDER / name))


def _golden(kept: _Kept, folder: Path) -> tuple[Golden, ...]:
    with np.load(folder / "golden.npz") as held:
        inputs = {tensor.name: held[f"i{n}"] for n, tensor in enumerate(kept.graph.cuts[0].tensors)}
        expected = {output: held[f"o{n}"] for n, output in enumerate(kept.graph.outputs)}
    return tuple(
        Golden({name: each[n] for name, each in inputs.items()}, {name: each[n] for name, each in expected.items()}, known)
        for n, known in enumerate(kept.scales)
    )


def kept_fallbacks(name: str, home: Path) -> tuple[Fallback, ...]:
    """Those of a release that was kept under ``home``, without reading any model.

    Raises:
        UsageError: it was not, or is no longer.
    """
    return _kept(name, home).fallbacks


def _kept(name: str, home: Path) -> _Kept:
    path = home / FOLDER / name / "release.json"
    if not path.is_file():
        raise UsageError(f"release {name[:12]} is not kept under {home} any more; deploy its plan instead")
    try:
        return read(path, _Kept)
    except FormatError as error:
        raise UsageError(f"release {name[:12]} was kept by another edgekit ({error}); deploy its plan instead") from error


def keep_only(names: Collection[str], home: Path) -> None:
    """Remove all other releases but their fallbacks, and the models that only they used; also those that another edgekit kept."""
    folder = home / FOLDER
    kept: dict[str, _Kept | None] = {}
    for path in folder.glob("*/release.json"):
        try:
            kept[path.parent.name] = _kept(path.parent.name, home)
        except UsageError:
            kept[path.parent.name] = None
    spare = {each.release for name in names if (release := kept.get(name)) for each in release.fallbacks}
    used = set()
    for name, release in kept.items():
        if release is not None and (name in names or name in spare):
            used |= {spec.model for spec in release.specs} | set(release.onnx)
        else:
            shutil.rmtree(folder / name)
    for model in (folder / MODELS).glob("*"):
        if model.name not in used:
            model.unlink()
    if not names:
        shutil.rmtree(folder, ignore_errors=True)
