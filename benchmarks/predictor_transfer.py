"""Latencies on a device that only ten networks were run on, from a table of other devices: rank correlation and hits.

    python benchmarks/predictor_transfer.py --table FILE.npz [--samples 10] [--seeds 5]
    python benchmarks/predictor_transfer.py [--architectures 60] [--aarch64]

A table holds ``latency_s`` (devices × architectures), ``features`` (architectures × any number) and ``devices`` (names). Each
device in turn is the new one. A seed draws half of the architectures; among those the method chooses what to measure, and
the baselines take as many at random. All that was not measured is predicted, by

    transfer    known devices and features (profilers.predict.transfer)
    scratch     ridge regression on the features, fitted to the measured ones alone
    feature     the one feature that orders the known devices best, fitted likewise

Without a table one is made: random stacks timed on this host with one thread and with two, and with ``--aarch64`` in an
emulated Raspberry Pi 4 (root, mmdebstrap and qemu-user-static needed). The last line is JSON.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from profilers.predict.transfer import choose, learn_family, predict

WITHIN = 0.10
METHODS = ("transfer", "scratch", "feature")


def read_table(path):
    """The table of a file, checked; what is wrong with it is said in one line."""
    try:
        with np.load(path, allow_pickle=False) as found:
            table = {name: found[name] for name in found.files}
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: expected an .npz of plain arrays, got something else ({error})")
    missing = [name for name in ("latency_s", "features", "devices") if name not in table]
    if missing:
        sys.exit(f"{path}: expected arrays latency_s, features and devices, got {', '.join(table) or 'none'}; add {', '.join(missing)}")
    try:
        latency_s, features = (np.asarray(table[name], dtype=float) for name in ("latency_s", "features"))
    except ValueError as error:
        sys.exit(f"{path}: expected numbers in latency_s and features ({error})")
    features = features[:, None] if features.ndim == 1 else features
    devices = [str(name) for name in np.atleast_1d(table["devices"])]
    if latency_s.ndim != 2 or features.ndim != 2 or latency_s.shape != (len(devices), len(features)):
        shapes = f"latency_s {latency_s.shape}, features {features.shape}, {len(devices)} devices"
        sys.exit(f"{path}: expected latency_s (devices × architectures) and features (architectures × any number), got {shapes}")
    if not (np.isfinite(latency_s).all() and (latency_s > 0).all()):
        sys.exit(f"{path}: expected latencies above 0, got {np.sum(~(latency_s > 0) | ~np.isfinite(latency_s))} others; leave them out")
    if not np.isfinite(features).all():
        sys.exit(f"{path}: expected finite features, got {np.sum(~np.isfinite(features))} others")
    return latency_s, features, devices


def ranks(values):
    """Ranks, ties sharing their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return (ends - (count - 1) / 2)[place]


def spearman(one, other):
    """Rank correlation; 0 where either is constant."""
    one, other = ranks(one), ranks(other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def ridge(features, measured, seconds):
    """Ridge regression of log seconds; the penalty by leaving one out."""
    spread = features.std(axis=0)
    values = (features[:, spread > 0] - features[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    known, logs = values[measured], np.log(seconds)
    centre = logs.mean()
    gram = known @ known.T
    best = (np.inf, None)
    for penalty in 10.0 ** np.arange(-3, 4):
        hat = gram @ np.linalg.inv(gram + penalty * np.eye(len(measured))) + 1 / len(measured)
        left = (logs - centre - (hat - 1 / len(measured)) @ (logs - centre)) / np.maximum(1 - np.diag(hat), 1e-6)
        best = min(best, (float((left**2).sum()), penalty))
    weights = known.T @ np.linalg.solve(gram + best[1] * np.eye(len(measured)), logs - centre)
    return np.exp(centre + values @ weights)


def one_feature(features, known):
    """The feature that orders the known devices best; without any, the one with the most distinct values."""
    if len(known) == 0:
        return int(np.argmax([len(np.unique(column)) for column in features.T]))
    return int(np.argmax([abs(np.mean([spearman(column, row) for row in known])) for column in features.T]))


def line(column, measured, seconds):
    """Log seconds by one feature, or by its logarithm where it is always above 0."""
    values = np.log(column) if (column > 0).all() else column
    slope, offset = np.polyfit(values[measured], np.log(seconds), 1) if np.ptp(values[measured]) > 0 else (0.0, np.log(seconds).mean())
    return np.exp(offset + slope * values)


def evaluate(latency_s, features, devices, samples, seeds):
    """One row for each device: mean rank correlation and share of hits over the seeds, by method."""
    count = latency_s.shape[1]
    if count < 2 * samples:
        sys.exit(f"expected at least {2 * samples} architectures to measure {samples} of half of them, got {count}")
    rows = []
    for index, device in enumerate(devices):
        others = np.delete(latency_s, index, axis=0)
        family = learn_family(others, features)
        column = features[:, one_feature(features, others)]
        found = {}
        for seed in range(seeds):
            random = np.random.default_rng([seed, index])
            pool = random.permutation(count)[: max(samples, count // 2)]
            chosen, drawn = choose(family, samples, pool=pool, seed=seed), pool[:samples]
            predictions = {
                "transfer": (chosen, predict(family, chosen, latency_s[index, chosen])[0]),
                "scratch": (drawn, ridge(features, drawn, latency_s[index, drawn])),
                "feature": (drawn, line(column, drawn, latency_s[index, drawn])),
            }
            for method, (measured, seconds) in predictions.items():
                rest = np.setdiff1d(np.arange(count), measured)
                truth = latency_s[index, rest]
                hits = float(np.mean(np.abs(seconds[rest] / truth - 1) <= WITHIN))
                found.setdefault(method, []).append((spearman(seconds[rest], truth), hits))
        rows.append({"device": device} | {m: [round(float(v), 4) for v in np.mean(pairs, axis=0)] for m, pairs in found.items()})
        words = "   ".join(f"{method} {rho:.3f} {hits:4.0%}" for method, (rho, hits) in list(rows[-1].items())[1:])
        print(f"{device:>24}   {words}", flush=True)
    return rows


def made_table(arguments):
    from benchmarks.predictor_table import make_table

    return make_table(arguments.architectures, arguments.aarch64, arguments.keep)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="an .npz file; without it a table is made")
    parser.add_argument("--samples", type=int, default=10, help="measured on the new device")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--architectures", type=int, default=60, help="of a table that is made")
    parser.add_argument("--aarch64", action="store_true", help="an emulated Raspberry Pi 4 is among its devices")
    parser.add_argument("--keep", type=Path, help="where to write the table that was made")
    arguments = parser.parse_args()
    if arguments.samples < 2 or arguments.seeds < 1:
        parser.error("expected at least 2 samples and 1 seed")
    began = time.perf_counter()
    table = read_table(arguments.table) if arguments.table else made_table(arguments)
    print(f"{len(table[2])} devices, {len(table[1])} architectures, {table[1].shape[1]} features; {arguments.samples} measured on each")
    print(f"{'':>24}   rank correlation and share within {WITHIN:.0%}")
    rows = evaluate(*table, arguments.samples, arguments.seeds)
    means = {method: np.mean([row[method] for row in rows], axis=0).round(4).tolist() for method in METHODS}
    print(f"{'mean':>24}   " + "   ".join(f"{method} {rho:.3f} {hits:4.0%}" for method, (rho, hits) in means.items()))
    result = {"samples": arguments.samples, "seeds": arguments.seeds, "seconds": round(time.perf_counter() - began, 1), "devices": rows}
    result |= {
        f"{method}_{name}": value for method in METHODS for name, value in zip(("spearman", "within_10"), means[method], strict=True)
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
