"""Machines not at hand: samples of their kernels, taken once, and profiles of any network from those."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from edgekit.api.display import showing
from edgekit.cluster import Cluster
from edgekit.deploy.serve.connections import connect_all
from edgekit.errors import UsageError
from edgekit.files import read, write
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.progress import Tell, silent
from edgekit.samples import Samples
from profilers.predict.adaptation import adapt
from profilers.predict.predicted_profile import predict_profile
from profilers.predict.predictor import Predictor, fit_predictor
from profilers.predict.sampler import sample_device

__all__ = ["learn", "predict_profiles", "read_predictor"]


@showing("sampling")
def learn(cluster: Cluster, device: str, path: Path, budget_s: float, *, tell: Tell = silent) -> Samples:
    """Samples of a device's kernels, ``budget_s`` seconds of them in all; the file grows as they are taken, and is gone on with.

    Raises:
        DeviceError: the device cannot be reached, or what the file holds was sampled under other conditions.
        UsageError: the file holds samples of another device.
    """
    before = read(path, Samples) if path.exists() else None
    if before is not None and before.device != device:
        raise UsageError(f"{path} holds samples of {before.device}; give another file for those of {device}")
    with ExitStack() as stack:
        connection = connect_all((cluster.device(device),), stack, purpose="samples")[device]
        return sample_device(connection, budget_s, tell, lambda samples: write(path, samples), before=before)


def read_predictor(path: str | Path, like: str | Path | None = None) -> Predictor:
    """A predictor, fitted to the samples in a file; or to those of another device that it is ``like``, and carried over by these,
    of which ten networks are then enough.

    Raises:
        UsageError: there are too few samples, or both files hold those of one device.
    """
    samples = read(path, Samples)
    if like is None:
        return fit_predictor(samples)
    others = read(like, Samples)
    if others.device == samples.device:
        raise UsageError(f"{like} and {path} both hold samples of {samples.device}; expected another device to predict it like")
    return adapt(fit_predictor(others), samples)


def predict_profiles(
    graph: Graph, model: Model, predictors: Iterable[Predictor], *, keep: Callable[[Profile], None] = lambda profile: None
) -> Profiles:
    """What the graph is estimated to cost on each device; the partitioner takes it as what was measured.

    Raises:
        UsageError: two predictors are of one device.
    """
    found = Profiles()
    for predictor in predictors:
        profile = predict_profile(graph, model, predictor)
        if profile.device in found:
            raise UsageError(f"there are two files of samples of {profile.device}; give one of them")
        found = found.add(profile)
        keep(profile)
    return found
