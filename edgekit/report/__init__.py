"""Front, Profile and Trace as pictures; matplotlib is imported when one is drawn, and pyplot never."""

from edgekit.report.pareto import pareto_figure
from edgekit.report.profile import profile_figure
from edgekit.report.timeline import timeline_figure
from edgekit.report.write import write

__all__ = ["pareto_figure", "profile_figure", "timeline_figure", "write"]
