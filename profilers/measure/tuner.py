"""Measures a network on one device in every setting, in rounds of a random order, each time against how the device is just then.

    round   default ─ 3 threads ─ 1 thread, batch 8 ─ … ─ default ─ 2 threads ─ … ─ default
              └────────── what the device takes now ──────┘└──── … and now ─────────┘

A device drifts: it heats up, others use it. What is measured between two measurements of the default setting is scaled by
how those two compare with all of them.
"""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.connection import Connection, Engine, Measured
from edgekit.conditions import changes
from edgekit.device import CPU, Device, Variant
from edgekit.errors import EdgekitError, GraphError, UsageError
from edgekit.graph import Graph
from edgekit.onnxio import Model, batched, load, read
from edgekit.progress import Tell, part_of, prefixed, silent
from edgekit.stages.artifact import build, upload
from edgekit.stages.builders import builder_of
from edgekit.tuning import Refusal, Setting, SettingTime, Tuning
from profilers.measure.measured_conditions import conditions_of
from profilers.measure.segments import data_for, request_for

__all__ = ["settings_for", "tune_device"]

ROUNDS = 5
EVERY = 4
"""Settings between two measurements of the default."""

MEASURE_S = 0.2
Keep = Callable[[Tuning], None]
Frames = tuple[Mapping[str, NDArray[np.generic]], ...]


class _Sample(NamedTuple):
    """One measurement, and the median of the default setting around it."""

    setting: Setting
    measured: Measured
    default_s: float


def settings_for(default: Variant, engines: Sequence[Engine], cores: int, batches: Sequence[int]) -> tuple[Setting, ...]:
    """Every setting to try besides the default one, of the engines of a device."""
    variants: list[Variant] = []
    for engine in engines:
        same = default.engine == engine.name
        own = default if same else msgspec.structs.replace(default, engine=engine.name, provider=CPU)
        variants += builder_of(engine.name).variants(own, engine.providers, cores)
    settings = [Setting(variant, batch) for batch in sorted({1, *batches}) for variant in variants]
    return tuple(setting for setting in settings if setting != Setting(default))


def tune_device(
    graph: Graph,
    model: Model,
    connection: Connection,
    *,
    batches: Sequence[int] = (),
    budget_s: float = 60.0,
    before: Tuning | None = None,
    tell: Tell = silent,
    keep: Keep = lambda tuning: None,
    most_threads: int | None = None,
) -> Tuning:
    """Measure every setting that ``before`` lacks, in one round at least, then in more while the time budget lasts.

    ``before`` counts where it is of the same graph and device under the same conditions. ``keep`` gets what is known after each
    round. ``most_threads``: None: as many as there are cores.

    Raises:
        UsageError: a sim: device, which has but one speed.
        DeviceError: the device cannot be asked, or its conditions changed meanwhile.
    """
    device = connection.device
    if connection.virtual:
        raise UsageError(f"{device.name} is described with one speed, whatever the settings; leave it out: -d with the other devices")
    facts = connection.facts()
    default = Setting(device.variant.on(graph.precision))
    conditions = conditions_of(connection, facts, facts, (), default.variant)
    known = before if before and _holds(before, graph, device, default) and not changes(before.conditions, conditions) else None
    found = known or Tuning(graph.digest, device.name, conditions, default, (), emulated=device.emulated)
    done = {time.setting for time in found.times} | {refusal.setting for refusal in found.refused}
    cores = len(device.cores) if device.cores else facts.machine.cores
    cores = min(cores, most_threads or cores)
    left = [setting for setting in settings_for(default.variant, facts.engines, cores, batches) if setting not in done]
    bench = _Bench(graph, model, connection, left)
    samples: list[_Sample] = []
    order = random.Random(0)
    began, rounds = monotonic(), ROUNDS if left else 0 if known else 1
    for number in range(1, rounds + 1):
        began_round = monotonic()
        order.shuffle(left)
        left = [setting for setting in left if setting not in bench.refused]
        told = part_of(prefixed(tell, f"round {number} of {rounds}"), number - 1, 1, rounds)
        samples += bench.round(default, left, told)
        found = _told(found, known, default, samples, bench.refused)
        found = msgspec.structs.replace(found, conditions=conditions_of(connection, facts, connection.facts(), (), default.variant))
        keep(found)
        round_s, spent_s = monotonic() - began_round, monotonic() - began
        if spent_s + round_s > budget_s:
            break
        rounds = min(number + int((budget_s - spent_s) / round_s), ROUNDS)
    return found


def _holds(before: Tuning, graph: Graph, device: Device, default: Setting) -> bool:
    return (before.graph, before.device, before.default) == (graph.digest, device.name, default) and before.time(default) is not None


class _Bench:
    """The networks of each batch on the device, and what did not work there."""

    def __init__(self, graph: Graph, model: Model, connection: Connection, settings: Sequence[Setting]):
        self._connection = connection
        self._networks = {1: self._brought(graph, model)}
        self.refused: dict[Setting, str] = {}
        self._digests: dict[Setting, str] = {}
        for batch in sorted({setting.batch for setting in settings} - {1}):
            try:
                longer = load(batched(model, batch))
                longer = replace(longer, frames=_side_by_side(model.frames, batch))
                self._networks[batch] = self._brought(read(longer), longer)
            except GraphError as error:
                self.refused |= {setting: str(error) for setting in settings if setting.batch == batch}

    def round(self, default: Setting, settings: Sequence[Setting], tell: Tell) -> list[_Sample]:
        """Each setting once, between measurements of the default one; those that fail are refused, unless that fails too."""
        marks = [self._measure(default)]
        found: list[tuple[Setting, Measured, int]] = []
        for start in range(0, len(settings), EVERY):
            for number, setting in enumerate(settings[start : start + EVERY], start=start + 1):
                tell(f"setting {number} of {len(settings)}", number - 1, len(settings))
                try:
                    found.append((setting, self._measure(setting), len(marks)))
                except EdgekitError as error:
                    self.refused[setting] = str(error)
            marks.append(self._measure(default))
        levels = [statistics.median(mark.samples_s) for mark in marks]
        samples = [_Sample(setting, measured, statistics.fmean(levels[mark - 1 : mark + 1])) for setting, measured, mark in found]
        return samples + [_Sample(default, mark, level) for mark, level in zip(marks, levels, strict=True)]

    def _measure(self, setting: Setting) -> Measured:
        graph, model, data = self._networks[setting.batch]
        whole = graph.segment(0, len(graph.units))
        if setting not in self._digests:
            self._digests[setting] = upload(build(model, graph, 0, len(graph.units), setting.variant), self._connection)
        digest = self._digests[setting]
        request = request_for(graph, whole, digest, self._connection, setting.variant, MEASURE_S, data=data)
        return self._connection.measure(request)[0]

    def _brought(self, graph: Graph, model: Model) -> tuple[Graph, Model, str]:
        """A network, and what the inputs that it runs on are called on the device."""
        whole = graph.segment(0, len(graph.units))
        return graph, model, data_for(model, graph, whole, self._connection)


def _side_by_side(frames: Frames, batch: int) -> Frames:
    """A frame for a network of a larger batch, joined from the given frames; none where none were given."""
    chosen = [frames[number % len(frames)] for number in range(batch)] if frames else []
    return ({name: np.concatenate([frame[name] for frame in chosen]) for name in chosen[0]},) if chosen else ()


def _told(found: Tuning, known: Tuning | None, default: Setting, samples: Sequence[_Sample], refused: dict[Setting, str]) -> Tuning:
    """What is known with all the samples of this run: those of the default setting say what the device usually takes."""
    levels = [sample.default_s for sample in samples if sample.setting == default]
    kept = {time.setting: time for time in (known.times if known else ())}
    usual_s = kept[default].p50_s if default in kept else statistics.median(levels)
    fresh = [setting for setting in dict.fromkeys(sample.setting for sample in samples) if setting not in kept]
    times = [_summed(setting, [s for s in samples if s.setting == setting], usual_s, setting == default, found) for setting in fresh]
    refusals = {refusal.setting: refusal.reason for refusal in (known.refused if known else ())} | refused
    return msgspec.structs.replace(
        found,
        times=tuple(
            sorted((*kept.values(), *times), key=lambda time: (time.setting.batch, *msgspec.structs.astuple(time.setting.variant)))
        ),
        refused=tuple(Refusal(*each) for each in refusals.items()),
        drift=max(known.drift if known else 1.0, max(levels) / min(levels)),
    )


def _summed(setting: Setting, samples: Sequence[_Sample], usual_s: float, raw: bool, tuning: Tuning) -> SettingTime:
    walls = np.concatenate([np.array(s.measured.samples_s) * (1.0 if raw else usual_s / s.default_s) for s in samples])
    p10, p50, p90 = (float(value) for value in np.percentile(walls, (10, 50, 90)))
    busy = sum(sum(sample.measured.cpu_s) for sample in samples) / tuning.conditions.speed
    wall = sum(sum(sample.measured.samples_s) for sample in samples)
    deviation = float(np.median(np.abs(walls - p50)))
    ratio = wall / busy if busy else 0.0
    return SettingTime(setting, p10, p50, p90, deviation, busy / len(walls), ratio, len(walls), len(samples))
