"""A front as a table with the numbers of its plans, and what the table means in words."""

from typing import TYPE_CHECKING

from edgekit.cli.console import mb, ms, table
from edgekit.wording import counted

if TYPE_CHECKING:
    from edgekit.api import Run
    from edgekit.front import Front
    from edgekit.objectives import Objective
    from edgekit.plan import Cost

__all__ = ["legend", "print_front"]

TABLE = 40
"""Plans that are printed; the file holds all."""


def print_front(front: "Front", run: "Run | None") -> None:
    """The plans of a front as a table with their numbers, what the table means, and how far off such predictions were."""
    from edgekit.residuals import interval

    more = [objective for objective in front.objectives if objective in ("energy", "loss", "devices")]
    more += ["loss"] if "loss" not in more and any(plan.predicted and plan.predicted.accuracy_loss != 0 for plan in front.plans) else []
    rows = []
    knee = front.number(front.knee())
    for index, plan in enumerate(front.plans[:TABLE]):
        cost = plan.predicted
        if cost is not None:
            marks = f"{cost.badge}{', emulated' if cost.emulated else ''}{' ← knee' if index == knee else ''}"
            figures = [ms(cost.latency_s), ms(cost.period_s), f"{1 / cost.period_s:.1f}", mb(cost.peak_memory_bytes)]
            rows.append([str(index), plan.describe(), *figures, *(_figure(cost, objective) for objective in more), marks])
    count = counted(len(front.plans), "plan")
    table(
        f"{count}, {_certified(front)}, predicted", ["", "plan", "latency", "period", "frames/s", "memory", *more, "badge"], rows, words=2
    )
    if len(front.plans) > TABLE:
        print(f"… and {len(front.plans) - TABLE} more in the file; the knee is {knee}")
    print(legend(front))
    found = run.residuals.found if run else ()
    widths = [interval(1.0, ratios) for ratios in ([each.latency for each in found], [each.period for each in found])]
    if None not in widths:
        latency, period = (f"{width.high - 1:.1%}" for width in widths if width)
        told = f"latency within {latency} of its prediction, period within {period}"
        print(f"nine times in ten: {told} ({len(found)} pipelines were certified from here)")


def legend(front: "Front") -> str:
    """How the plans of a front are written, in words."""
    stage = front.plans[0].stages[0]
    name = "|".join(stage.devices)
    words = [f"{name}[{stage.start}:{stage.stop}]: units {stage.start} to {stage.stop - 1} run on {name}; edgekit inspect lists units"]
    teams = [stage.devices for plan in front.plans for stage in plan.stages if len(stage.devices) > 1]
    words += [f"{'|'.join(teams[0])}: these take frames in turn"] if teams else []
    words.append("knee: nearest to the best in every objective, and what --pick takes unless told otherwise")
    return "\n".join(words)


def _certified(front: "Front") -> str:
    certificate = front.certificate
    if certificate.kind == "exact":
        return "exact"
    return "of no known distance from the exact front" if certificate.gap is None else f"within {certificate.gap:.1%} of the exact front"


def _figure(cost: "Cost", objective: "Objective") -> str:
    from edgekit.front import value

    if objective == "loss" and cost.accuracy_loss is None:
        return "unknown"
    amount = value(cost, objective)
    return f"{amount * 1e3:.3g} mJ" if objective == "energy" else f"{amount:.3g}"
