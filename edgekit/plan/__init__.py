"""A plan: which part of a graph runs where, what is sent between the parts, and what that costs."""

from edgekit.plan.plan import CLIENT, End, Plan, Stage, Transfer
from edgekit.plan.predicted_cost import Cost, Load, Memory, Term
from edgekit.plan.split import chain, ranged, sendable, wired
from edgekit.plan.validity import validate

__all__ = [
    "CLIENT",
    "Cost",
    "End",
    "Load",
    "Memory",
    "Plan",
    "Stage",
    "Term",
    "Transfer",
    "chain",
    "ranged",
    "sendable",
    "validate",
    "wired",
]
