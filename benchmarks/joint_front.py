"""Claim: choosing splits, precisions and codecs together finds plans that choosing splits alone does not, and says what they lose.

    python benchmarks/joint_front.py [--rate 5] [--keep runs/joint_front]

A network is trained here on the first 1,200 of scikit-learn's digits, made larger and noisy, and quantized with 200 of them.
What each tensor loses in fp16 and eight bits, and each part of the network in int8, is measured alone on the next 300; the plans
of the front are then run end to end on those, and once more on the last 297, which nothing has seen. Two emulated devices of this
machine: a slow one beside the client, a quicker one behind a link of RATE Mbit/s; all profiles and the front's segments measured.
Printed: for each plan the loss as a sum of estimates and measured, how far the two are apart, the hypervolume of latency, period
and loss of the joint front over that of splits alone, and what two deployed plans took against their prediction. The last line is
JSON.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from pymoo.indicators.hv import HV
from sklearn.datasets import load_digits
from torch import nn

from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device
from edgekit.export import export
from edgekit.files import write, write_bytes
from edgekit.front import Front, Question, cost_of
from edgekit.graph import Graph
from edgekit.losses import Losses
from edgekit.plan import Plan
from edgekit.profiles import Profiles

TRAINED, JUDGED = 1200, 1500
EPOCHS = 4
TIMES, NOISE = 8, 0.35
"""How much larger digits are made, and how noisy, so that some are hard to tell."""


class Digits(nn.Module):
    """Seven convolutions over 64 × 64: about 150 million multiplications."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, 32, 64, 64, 128, 128, 192, 192]
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            stride = 2 if index in (1, 3, 5) else 1
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


def trained(images: np.ndarray, labels: np.ndarray) -> nn.Module:
    torch.manual_seed(0)
    net = Digits()
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    return net.eval()


def prepare(folder: Path) -> None:
    """The network in fp32 and in int8, and frames with their labels."""
    found = load_digits()
    noise = NOISE * np.random.default_rng(0).standard_normal(found.images.shape)
    images = np.kron(found.images / 16 + noise, np.ones((TIMES, TIMES)))[:, None].astype(np.float32)
    labels = found.target.astype(np.int64)
    if not (folder / "net.onnx").is_file():
        net = trained(images[:TRAINED], labels[:TRAINED])
        write_bytes(folder / "net.onnx", export(net, [(None, (1, 1, 8 * TIMES, 8 * TIMES))]))
    np.savez(folder / "calibration.npz", x=images[:TRAINED:6])
    for name, part in (("judged", slice(TRAINED, JUDGED)), ("unseen", slice(JUDGED, None))):
        np.savez(folder / f"{name}.npz", x=images[part])
        np.save(folder / f"{name}.npy", labels[part])
    if not (folder / "net.int8.onnx").is_file():
        api.quantize(folder / "net.onnx", folder / "net.int8.onnx", "int8", data=folder / "calibration.npz")


def points(plans: tuple[Plan, ...]) -> np.ndarray:
    costs = [cost_of(plan) for plan in plans]
    return np.array([(cost.latency_s, cost.period_s, cost.accuracy_loss) for cost in costs])


def gain(joint: Front, alone: Front) -> float:
    """Hypervolume of the one over that of the other, up to a tenth beyond the worst of both, losses up to 5 %."""
    both = np.concatenate([points(joint.plans), points(alone.plans)])
    worst = [*(1.1 * both[:, :2].max(0)), 0.05]
    indicator = HV(ref_point=np.array(worst))
    return float(indicator(points(joint.plans)) / indicator(points(alone.plans)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=5.0, help="Mbit/s of the link to the quicker device")
    parser.add_argument("--keep", type=Path, default=Path("runs/joint_front"))
    arguments = parser.parse_args()
    folder = arguments.keep
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder)
    graph, model = api.load(folder / "net.onnx", [folder / "net.int8.onnx"])
    slow = Link(ANY, ANY, 0.002, arguments.rate * 125e3, shaped=True)
    cable = tuple(Link(*ends, 0.0005, 12.5e6, shaped=True) for ends in (("client", "near"), ("near", "client")))
    cluster = Cluster((Device("near", speed=0.08), Device("far", speed=0.6)), (*cable, slow))
    judge = api.Judge(graph, model, folder / "judged.npz", labels=folder / "judged.npy")
    losses = api.measure_losses(judge)
    write(folder / "net.losses.json", losses)
    print(f"right answers: {judge.right:.1%} of the judged, {judge_of(folder, graph, model).right:.1%} of the unseen")
    print(f"{len(losses.tensors)} tensors and {len(losses.stages)} parts measured alone, the worst {worst(losses):.3f}")
    run = api.Run(folder)
    profiles = api.profile(graph, model, cluster, budget_s=1.0, codecs=True, keep=run.keep)
    objectives = ("latency", "period", "loss")
    joint, profiles = api.partition(
        graph, model, cluster, profiles, objectives=objectives, question=Question(losses=losses), measure=True, keep=run.keep
    )
    own = Profiles(tuple(profiles.of(name)[0] for name in profiles.devices))
    alone, _ = api.partition(graph, model, cluster, own, objectives=objectives, measure=True)
    judged = api.evaluate(joint, judge)
    unseen = {plan.describe(): loss for plan, _, loss in api.evaluate(joint, judge_of(folder, graph, model)).losses}
    print(f"\n{'plan':60} latency    period   loss: summed  measured  unseen")
    for plan, estimate, loss in judged.losses:
        cost = cost_of(plan)
        print(
            f"{plan.describe():60} {cost.latency_s * 1e3:7.2f} {cost.period_s * 1e3:9.2f} ms {estimate:9.4f} {loss:9.4f} "
            f"{unseen[plan.describe()]:9.4f}"
        )
    apart = [abs(loss - estimate) for _, estimate, loss in judged.losses if loss is not None and estimate is not None]
    gained = gain(judged.front, alone)
    print(
        f"\nsplits alone: {len(alone.plans)} plans; joint: {len(joint.plans)}, after the test {len(judged.front.plans)}; "
        f"hypervolume ×{gained:.3f}; losses summed and measured are apart by {np.median(apart):.4f}, at most {max(apart):.4f}"
    )
    checks = {}
    for pick in ("latency", "period"):
        plan = judged.front.best(pick)
        with api.deploy(plan, graph, model, cluster) as pipeline:
            trace = api.verify(pipeline, seconds=2.0, fractions=())
        cost, seen = cost_of(plan), trace.measured
        checks[pick] = [round(cost.latency_s / seen.latency_s - 1, 4), round(cost.period_s / seen.period_s - 1, 4)]
        print(f"best {pick}: {plan.describe()}: predicted {checks[pick][0]:+.1%} latency, {checks[pick][1]:+.1%} period")
    best = {o: float(points(f.plans)[:, i].min()) for i, o in enumerate(("latency", "period")) for f in [judged.front]}
    before = {o: float(points(alone.plans)[:, i].min()) for i, o in enumerate(("latency", "period"))}
    result = {
        "plans": {"alone": len(alone.plans), "joint": len(joint.plans), "after": len(judged.front.plans)},
        "hypervolume": round(gained, 4),
        "apart": {"median": round(float(np.median(apart)), 5), "most": round(max(apart), 5)},
        "best_ms": {"alone": {o: round(v * 1e3, 3) for o, v in before.items()}, "joint": {o: round(v * 1e3, 3) for o, v in best.items()}},
        "predicted": checks,
    }
    print(json.dumps(result))
    return 0


def worst(losses: Losses) -> float:
    return max(each.loss for each in (*losses.tensors, *losses.stages))


def judge_of(folder: Path, graph: Graph, model: api.Model) -> api.Judge:
    return api.Judge(graph, model, folder / "unseen.npz", labels=folder / "unseen.npy")


if __name__ == "__main__":
    sys.exit(main())
