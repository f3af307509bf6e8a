"""A table of devices for predictor_transfer: random stacks timed on this host, and in an emulated Raspberry Pi 4."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from devices import Connection, connect
from edgekit.device import Device, Variant
from edgekit.onnxio import load, normalise, read
from profilers.map.kernel_descriptions import expected
from profilers.predict.features import kind
from profilers.predict.random_stacks import draw_stack
from profilers.predict.sampler import sample_network

__all__ = ["FEATURES", "make_table"]

FEATURES = ("MACs", "weights", "activations", "kernels", "MACs of convolutions", "of pointwise ones", "of depthwise ones", "of products")
FIRST = 5_000_000
"""The first seed: none of these stacks is ever sampled by a predictor."""

MOST_MACS = 1.5e8


def architectures(count):
    """Models and graphs of stacks that an emulated device runs in reasonable time, with their features."""
    found = []
    seed = FIRST
    while len(found) < count:
        model = load(normalise(draw_stack(seed)))
        graph = read(model)
        if graph.macs <= MOST_MACS:
            found.append((f"stack {seed}", graph, model))
        seed += 1
    return found


def features_of(graph, model):
    kernels = [kernel for kernel, _ in expected(graph, model, {})]
    kinds = ("Conv", "Conv point", "Conv depthwise", "Product of weights")
    by_kind = [sum(kernel.macs for kernel in kernels if kind(kernel) == name) for name in kinds]
    return [graph.macs, sum(weight.nbytes for weight in graph.weights), sum(graph.step_bytes), len(kernels), *by_kind]


@contextmanager
def aarch64_host() -> Iterator[Connection]:
    """A machine of the tests' bed whose programs are all aarch64, set up with wheels from here."""
    import pytest

    from devices.login import login, offered, trust
    from devices.setup.procedure import remove, setup
    from devices.setup.shell_facts import machine_of
    from tests.armbed import aarch64
    from tests.sshbed import bed

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder, "lab").mkdir()
        Path(folder, "arm").mkdir()
        with bed(Path(folder, "lab"), patch) as lab, aarch64(cache, Path(folder, "arm")) as system:
            patch.setenv("XDG_CACHE_HOME", str(cache))
            host = lab.host("pi", system=system)
            try:
                trust(host.device(), offered(host.device()))
                with login(host.device()) as shell:
                    outcomes = setup(shell, machine_of(shell), offline=True)
                    if outcomes[-1].state != "ok":
                        sys.exit(f"the emulated host cannot be set up: {outcomes[-1].text}")
                    try:
                        with connect(host.device()) as connection:
                            yield connection
                    finally:
                        remove(shell)
            finally:
                host.stop()


def timed(connection, variant, nets, each_s):
    """The lowest tenth of each network's runs, in random order."""
    found = np.empty(len(nets))
    for done, place in enumerate(np.random.default_rng(0).permutation(len(nets))):
        source, graph, model = nets[place]
        found[place] = sample_network(source, graph, model, connection, variant, each_s=each_s, kernels=False)[0].p10_s
        print(f"{connection.device.name} ×{variant.threads}: {done + 1} of {len(nets)}", file=sys.stderr, flush=True)
    return found


def make_table(count, with_aarch64, keep):
    """latency_s, features and devices; written to ``keep`` where that is given."""
    nets = architectures(count)
    rows, names = [], []
    with connect(Device("host")) as connection:
        for threads in (1, 2):
            rows.append(timed(connection, Variant(threads=threads), nets, 0.3))
            names.append(f"host, {threads} thread{'s' * (threads > 1)}")
    if with_aarch64:
        with aarch64_host() as connection:
            rows.append(timed(connection, Variant(), nets, 0.1))
            names.append("aarch64 (qemu)")
    table = np.array(rows), np.array([features_of(graph, model) for _, graph, model in nets], float), names
    if keep:
        np.savez(keep, latency_s=table[0], features=table[1], devices=np.array(names))
    return table
