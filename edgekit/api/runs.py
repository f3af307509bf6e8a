"""A run folder: everything that one way through the house measured, file by file, so that it can be picked up again."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.files import encode, read, write
from edgekit.front import Front
from edgekit.plan import Plan
from edgekit.profile import Profile
from edgekit.profiles import Profiles, keep_profile, read_profiles
from edgekit.residuals import Residuals
from edgekit.runtime.agent.store import digest_of
from edgekit.trace import Trace
from edgekit.tuning import Tuning

__all__ = ["Run", "report"]


@dataclass(frozen=True)
class Run:
    """The folder, and the names of the files in it."""

    folder: Path

    @property
    def graph(self) -> Path:
        return self.folder / "net.onnx"

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def front(self) -> Path:
        return self.folder / "front.json"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def trace(self) -> Path:
        return self.folder / "trace.json"

    @property
    def residuals(self) -> Residuals:
        """Of the pipelines that were certified from here; a folder without any has none."""
        path = self.folder / "residuals.json"
        return read(path, Residuals) if path.is_file() else Residuals()

    def keep_trace(self, path: Path, trace: Trace) -> None:
        """Write a trace, and what it says of predictions from here."""
        write(path, trace)
        write(self.folder / "residuals.json", self.residuals.joined(trace))

    def keep(self, profile: Profile) -> None:
        """Write the profile of one device, one in another precision than the network's beside it."""
        keep_profile(self.folder, profile)

    def profiles(self) -> Profiles:
        """The profiles in the folder.

        Raises:
            UsageError: there is none, or there are two of one device in one variant.
        """
        found = read_profiles(self.folder)
        if not found:
            raise UsageError(f"no *.profile.json in {self.folder}; run: edgekit profile … -o {self.folder}")
        return found

    def keep_tuning(self, tuning: Tuning) -> None:
        """Write the tuning of one device."""
        write(self.folder / f"{tuning.device.replace('/', '_')}.tuning.json", tuning)

    def tunings(self) -> dict[str, Tuning]:
        """The tunings in the folder, by device name."""
        return {tuning.device: tuning for tuning in (read(path, Tuning) for path in sorted(self.folder.glob("*.tuning.json")))}


def report(folder: Path) -> list[Path]:
    """Draw what a run folder holds: the Pareto scatter, the timeline of the stages, the profiles.

    Raises:
        UsageError: the folder holds no front.
    """
    from edgekit import report as pictures

    run = Run(folder)
    if not run.front.is_file():
        raise UsageError(f"no front.json in {folder}; run: edgekit partition … -o {run.front}")
    kept = read(run.plan, Plan) if run.plan.is_file() else None
    trace = read(run.trace, Trace) if run.trace.is_file() else None
    front = read(run.front, Front)
    plan = _traced(trace, (*((kept,) if kept else ()), *front.plans, *front.compared)) if trace else kept
    profiles = tuple(profile for profile in run.profiles() if profile.graph == front.graph)
    return pictures.write(folder, front, chosen=plan, trace=trace, profiles=profiles)


def _traced(trace: Trace, plans: Iterable[Plan]) -> Plan | None:
    """The plan that a trace is of: by its digest, else by its prediction, as it may have been priced anew or written otherwise."""
    known = tuple(plans)
    same = (plan for plan in known if digest_of(encode(plan)) == trace.plan)
    alike = (plan for plan in known if plan.predicted is not None and plan.predicted == trace.predicted)
    return next(same, None) or next(alike, None)
