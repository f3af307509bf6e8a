"""Front, Profile and Trace as pictures and tables; matplotlib is imported when a picture is drawn, and pyplot never."""

from edgekit.report.difference import differences, shifts
from edgekit.report.pareto import pareto_figure
from edgekit.report.profile import profile_figure
from edgekit.report.profile_tables import by_type, in_order, kernels_csv, perfetto, reconcile, top
from edgekit.report.timeline import timeline_figure
from edgekit.report.winners import winners_figure
from edgekit.report.write import write, write_winners

__all__ = [
    "by_type",
    "differences",
    "in_order",
    "kernels_csv",
    "pareto_figure",
    "perfetto",
    "profile_figure",
    "reconcile",
    "shifts",
    "timeline_figure",
    "top",
    "winners_figure",
    "write",
    "write_winners",
]
