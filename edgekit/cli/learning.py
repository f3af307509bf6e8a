"""What ``edgekit profile --learn`` does: take samples of a device, and say how good predictions from them are."""

from pathlib import Path

from edgekit.cli.clusters import read_cluster
from edgekit.cli.console import progress
from edgekit.cli.options import require
from edgekit.wording import counted

__all__ = ["learn"]


def learn(cluster: Path | None, devices: list[str] | None, output: Path | None, seconds: float) -> None:
    """Sample one device into one file, and say how good predictions from it are."""
    from edgekit import api
    from edgekit.errors import UsageError

    command = "edgekit profile --learn 1700 -c cluster.toml -d DEVICE -o DEVICE.samples.json"
    require(command, cluster=cluster, device=devices or None, output=output)
    assert cluster is not None and devices is not None and output is not None
    if len(devices) > 1:
        raise UsageError(f"expected one --device, got {', '.join(devices)}; run it once for each: {command}")
    with progress("sampling") as tell:
        samples = api.learn(read_cluster(cluster), devices[0], output, seconds, tell=tell)
    taken = f"{counted(samples.kernel_count, 'kernel')} of {counted(len(samples.networks), 'network')}"
    print(f"{samples.device}: {taken} in {samples.taken_s / 60:.1f} minutes")
    with progress("fitting") as tell:
        tell(str(output))
        error = api.read_predictor(output).error
    if error.networks:
        words = f"{error.within_10:.0%} within 10 %, {error.within_5:.0%} within 5 %, half within {error.p50:.1%}"
        print(f"predicted times of networks that were left out of the fit: {words} of the measured ones")
    else:
        print("few networks: add --like OTHER.samples.json, of a device that was sampled at length, to what is next")
    print(f"next: edgekit profile net.onnx --predict {output} -o run")
