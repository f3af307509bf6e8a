"""Real data of this size: the digits that come with scikit-learn, and a network of two convolutions that reads them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.onnxio import load, normalise, read
from edgekit.runtime.engine.executor import run_once
from tests.models import Net, draw

__all__ = ["digits", "kept", "network"]

KNOWN = 1200
RIDGE = 3.0
"""Keeps the weights small, without which features that hardly vary get large ones that no 8 bits can hold beside the others."""
CONVS = {"Conv": {"pads": [1, 1, 1, 1], "strides": [2, 2]}}


@cache
def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """1797 handwritten digits, (1, 8, 8) each between 0 and 1, and what they are."""
    datasets = pytest.importorskip("sklearn.datasets", reason="needs data scikit-learn's digits")
    found = datasets.load_digits()
    return (found.images[:, None] / 16).astype(np.float32), found.target


@cache
def network() -> Net:
    """Nine in ten digits right: random convolutions, then a layer fitted to the first 1200 digits by least squares with a ridge."""
    images, labels = digits()
    text = "Conv x,w0 > a\nRelu a > b\nConv b,w1 > c\nRelu c > d\nFlatten d > e\nGemm e,w2 > y"
    weights = {"w0": [24, 1, 3, 3], "w1": [48, 24, 3, 3], "w2": [192, 10]}
    features = text.rpartition("\n")[0]
    seen = len(images[:KNOWN])
    data = draw(features, {"x": [seen, 1, 8, 8]}, {"e": [seen, 192]}, weights, **CONVS)
    table = run_once(normalise(data), {"x": images[:KNOWN]})["e"].astype(np.float64)
    fitted = np.linalg.solve(table.T @ table + RIDGE * np.eye(192), table.T @ np.eye(10)[labels[:KNOWN]])
    model = load(normalise(draw(text, {"x": [1, 1, 8, 8]}, {"y": [1, 10]}, weights | {"w2": fitted.astype(np.float32)}, **CONVS)))
    return Net(read(model), model)


def kept(folder: Path) -> Path:
    """A folder with the network, a hundred digits that it has not seen, and what they are."""
    (folder / "net.onnx").write_bytes(network().data)
    np.savez(folder / "digits.npz", x=digits()[0][KNOWN : KNOWN + 100])
    np.save(folder / "labels.npy", digits()[1][KNOWN : KNOWN + 100])
    return folder
