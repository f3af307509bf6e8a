"""What ``edgekit profile --learn`` does: take samples of a device, and say how good predictions from them are."""

from pathlib import Path

from edgekit.cli.clusters import read_cluster
from edgekit.cli.console import progress

__all__ = ["learn"]


def learn(cluster: Path | None, devices: list[str] | None, output: Path | None, seconds: float) -> None:
    """Sample one device into one file, and say how good predictions from it are."""
    from edgekit import api
    from edgekit.errors import UsageError

    if cluster is None or output is None or not devices or len(devices) != 1:
        raise UsageError(
            "expected a cluster, one device of it and a file; run: edgekit profile --learn 1700 -c cluster.toml -d pi -o pi.samples.json"
        )
    with progress("sampling") as tell:
        samples = api.learn(read_cluster(cluster), devices[0], output, seconds, tell)
    print(f"{samples.device}: {samples.kernel_count} kernels of {len(samples.networks)} networks in {samples.taken_s / 60:.1f} minutes")
    with progress("fitting") as tell:
        tell(str(output))
        error = api.read_predictor(output).error
    if error.networks:
        words = f"{error.within_10:.0%} within 10 %, {error.within_5:.0%} within 5 %, half within {error.p50:.1%}"
        print(f"of networks left out: {words}")
    else:
        print("few networks: add --like OTHER.samples.json, of a device that was sampled at length, to what is next")
    print(f"next: edgekit profile net.onnx --predict {output} -o run")
