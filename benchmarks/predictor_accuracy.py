"""Latencies of whole networks whose families were never sampled: predicted from kernels of random stacks, against measured ones.

    python benchmarks/predictor_accuracy.py [--folder runs/predictor] [--budget 2700] [--wall 220] [--families dev|test]

Run on this host, one thread. ``--budget`` seconds of random stacks are sampled (none of them a network of a family), and each time that
a share of them is there, ``--rounds`` times in all, every network of the families is measured, in random order and in a process of its
own; the median counts. So a machine that changes in the meantime changes for both. All seconds are told at the usual clock of this
machine (edgekit.runtime.engine.reference_work), which wanders by several per cent. Measurements are repeated while something else uses the
processors. All of it is kept in the folder and taken up again there: with ``--wall`` the script ends (exit code 75) after so many
seconds, so that a shared machine can be had for a while at a time.

Shown per family: the share within 5 and 10 % and the rank correlation, beside those of a straight line over the MACs that
was fitted to the same samples. The last line is JSON.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import numpy as np

from benchmarks.calm import Calm
from benchmarks.families import DEV, TEST, draw, light
from benchmarks.predictor_transfer import spearman
from devices import connect
from edgekit.device import Device
from edgekit.files import read as read_noun
from edgekit.files import write
from edgekit.onnxio import load, normalise, read
from edgekit.progress import of_text
from edgekit.samples import SampledNetwork, Samples
from profilers.predict.predictor import fit_predictor, predict_kernels, predict_whole
from profilers.predict.sampler import sample_device, sample_network

UNFINISHED = 75


class Over(Exception):
    """The wall time is over."""


class Clock:
    def __init__(self, wall_s):
        self.end = time.perf_counter() + wall_s

    def check(self):
        if time.perf_counter() > self.end:
            raise Over


def held_out(which, each):
    """Makers of the networks to predict, by name."""
    families = {"dev": DEV, "test": TEST}[which]
    found = {f"{name} {number}": lambda name=name, number=number: draw(name, number) for name in families for number in range(each)}
    if which == "test":
        found |= {name: lambda data=data: data for name, data in light().items()}
    return found


def take_samples(connection, path, budget_s, clock):
    before = read_noun(path, Samples) if path.exists() else None

    def keep(samples):
        write(path, samples)
        clock.check()

    last = [0.0]

    def tell(text):
        if time.perf_counter() - last[0] > 20:
            last[0] = time.perf_counter()
            print(f"sampling: {text}", file=sys.stderr, flush=True)

    return sample_device(connection, budget_s, of_text(tell), keep, before=before)


def measure(connection, networks, path, turn, samples, clock):
    """Every network once, in random order; each measurement is kept under its name and round."""
    held = read_noun(path, Samples) if path.exists() else msgspec.structs.replace(samples, networks=(), sentinel_s=())
    for name in np.random.default_rng(turn).permutation(sorted(networks)):
        source = f"{name} round {turn}"
        if any(network.source == source for network in held.networks):
            continue
        model = load(normalise(networks[name]()))
        network, _ = sample_network(source, read(model), model, connection, samples.variant, kernels=False)
        held = msgspec.structs.replace(held, networks=(*held.networks, network))
        write(path, held)
        print(f"measured {source}: {network.p10_s * 1e3:.3f} ms", file=sys.stderr, flush=True)
        clock.check()


def macs_line(samples):
    """Seconds = a · MACs + b, of least relative error over the sampled stacks."""
    known: list[SampledNetwork] = [network for network in samples.networks if network.kernels]
    macs = np.array([sum(sampled.kernel.macs for sampled in network.kernels) for network in known], float)
    seconds = np.array([network.p10_s for network in known])
    rows = np.stack([macs / seconds, 1 / seconds], axis=1)
    return np.linalg.lstsq(rows, np.ones(len(rows)), rcond=None)[0]


def scores(truth, predicted):
    off = np.abs(predicted / truth - 1)
    return {
        "networks": len(truth),
        "within_10": round(float(np.mean(off <= 0.10)), 4),
        "within_5": round(float(np.mean(off <= 0.05)), 4),
        "median_error": round(float(np.median(off)), 4),
        "bias": round(float(np.median(predicted / truth)), 4),
        "spearman": round(spearman(truth, predicted), 4),
    }


def judge(samples, held, networks, rounds):
    begin = time.perf_counter()
    predictor = fit_predictor(samples)
    fit_s = time.perf_counter() - begin
    slope, offset = macs_line(samples)
    rows = []
    for name, make in networks.items():
        model = load(normalise(make()))
        graph = read(model)
        guesses = predict_kernels(predictor, graph, model)
        times = [network.p10_s for network in held.networks if network.source in {f"{name} round {turn}" for turn in range(rounds)}]
        if times:
            predicted = predict_whole(predictor, guesses)
            by_macs = max(slope * graph.macs + offset, 1e-6)
            real = statistics.median(times)
            rows.append((name, real, predicted, by_macs, max(times) / min(times)))
            print(f"{name:22}{real * 1e3:9.3f} ms {predicted * 1e3:9.3f} ms {predicted / real - 1:+7.1%} {len(guesses):4} kernels")
    names = [name.partition(" ")[0] for name, *_ in rows]
    truth, predicted, line, repeat = (np.array([row[i] for row in rows]) for i in (1, 2, 3, 4))
    print(
        f"\n{'family':14}{'networks':>9}{'within 10 %':>13}{'within 5 %':>12}{'bias':>8}{'Spearman':>10}   by MACs: within 10 %, Spearman"
    )
    by_family = {}
    for family in [*dict.fromkeys(names), "all"]:
        chosen = np.array([family in (name, "all") for name in names])
        ours, macs = scores(truth[chosen], predicted[chosen]), scores(truth[chosen], line[chosen])
        by_family[family] = {"predictor": ours, "macs": macs}
        words = f"{ours['within_10']:13.1%}{ours['within_5']:12.1%}{ours['bias']:8.3f}{ours['spearman']:10.3f}"
        print(f"{family:14}{ours['networks']:9}{words}{macs['within_10']:17.1%}{macs['spearman']:10.3f}")
    sentinel = np.array(samples.sentinel_s or (1.0,))
    error = predictor.error
    return {
        "samples": {
            "stacks": len(samples.networks),
            "kernels": samples.kernel_count,
            "minutes": round(samples.taken_s / 60, 2),
            "sentinel_spread": round(float(sentinel.max() / sentinel.min()), 3),
        },
        "fit_s": round(fit_s, 2),
        "stated": {"within_10": round(error.within_10, 4), "within_5": round(error.within_5, 4), "networks": error.networks},
        "repeat_p50": round(float(np.median(repeat)), 4),
        "repeat_p90": round(float(np.percentile(repeat, 90)), 4),
        "families": by_family,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/predictor"), help="where samples and measurements are kept")
    parser.add_argument("--budget", type=float, default=2700.0, help="seconds of samples in all")
    parser.add_argument("--wall", type=float, default=1e9, help="end after so many seconds, to be called again")
    parser.add_argument("--families", choices=("dev", "test"), default="test")
    parser.add_argument("--each", type=int, default=7, help="networks of each family")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--judge", action="store_true", help="measure nothing, judge by what there is")
    arguments = parser.parse_args()
    paths = [arguments.folder / "host.samples.json", arguments.folder / f"{arguments.families}.samples.json"]
    networks = held_out(arguments.families, arguments.each)
    if not arguments.judge:
        clock = Clock(arguments.wall)
        try:
            with connect(Device("host")) as connection:
                calm = Calm(connection)
                for turn in range(arguments.rounds):
                    samples = take_samples(calm, paths[0], arguments.budget * (turn + 1) / arguments.rounds, clock)
                    measure(calm, networks, paths[1], turn, samples, clock)
        except Over:
            print("there is more to measure: call again", file=sys.stderr)
            return UNFINISHED
        finally:
            print(f"{calm.measured} measurements, repeated {calm.repeated}, still disturbed {calm.disturbed}", file=sys.stderr)
    result = judge(read_noun(paths[0], Samples), read_noun(paths[1], Samples), networks, arguments.rounds)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
