"""MobileNetV2 that reads handwritten digits, and the digits: 1,797 images, part of scikit-learn.

Nothing is downloaded, and nobody trains the network. Its body keeps seeded weights, drawn so that
the differences between digits survive 52 convolutions. Its last layer is the solution of a ridge
regression over the features of the first 600 digits. Of the last 697 digits, which had no part in
any choice, the network reads 91.8 % right, and its int8 twin 89.8 %.

Orthogonal weights: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of
learning in deep linear neural networks", ICLR 2014. A fitted last layer over random features:
Huang, Zhu, Siew, "Extreme learning machine", Neurocomputing 70, 2006.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgekit.errors import UsageError
from edgekit.networks.mobilenetv2 import InvertedResidual, MobileNetV2
from edgekit.networks.weights import untrained

__all__ = ["FITTED", "SIZE", "Digits", "digits", "mobilenetv2_digits"]

SIZE = 96
"""Pixels of a side; scikit-learn has 8."""

FITTED = 600
"""The first so many digits fit the last layer. The others were written by other people."""

CLASSES = 10
BATCH = 20
NORMALISED_BY = 100
"""Digits that the batch normalisations take their means and variances from."""

NEARLY_LINEAR = 1.5
"""Bias before each ReLU6, in deviations: most values pass it unchanged."""

BESIDE = 0.1
"""Share of its own that a block with a shortcut adds to its input."""

RIDGE = 100.0
"""Keeps the weights of the last layer small, over features of mean 0 and deviation 1."""


class Digits(NamedTuple):
    """Images, (n, 3, 96, 96) between 0 and 1, and what they show, (n,) from 0 to 9."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "Digits":
        """Digits ``[start, stop)``."""
        return Digits(self.images[start:stop], self.labels[start:stop])


def digits() -> Digits:
    """All digits, in the order of scikit-learn.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError("scikit-learn, with its digits, is not installed; pip install 'edgekit[demo]'") from error
    found = load_digits()
    small = torch.from_numpy(found.images[:, None] / 16).float()
    large = nn.functional.interpolate(small, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return Digits(large.expand(-1, 3, -1, -1).contiguous().numpy(), found.target.astype(np.int64))


@torch.no_grad()  # type: ignore[untyped-decorator]
def mobilenetv2_digits() -> MobileNetV2:
    """MobileNetV2, (n, 3, 96, 96) → (n, 10): 2.2 M parameters, 55 M MACs; fitted to 600 digits.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    known = digits().part(0, FITTED)
    network = untrained(lambda: MobileNetV2(CLASSES, 1.0))
    network.to(memory_format=torch.channels_last)
    network.input_shape = (1, 3, SIZE, SIZE)
    _prepare(network, torch.Generator().manual_seed(0))
    images = torch.from_numpy(known.images).contiguous(memory_format=torch.channels_last)
    _normalise(network, images[:NORMALISED_BY])
    features = torch.cat([network.features(batch).mean((2, 3)) for batch in images.split(BATCH)])
    wanted = nn.functional.one_hot(torch.from_numpy(known.labels), CLASSES)
    _fit(network.classifier[1], features.double(), wanted.double())
    network.to(memory_format=torch.contiguous_format)
    return network


def _prepare(network: MobileNetV2, generator: torch.Generator) -> None:
    """Draw weights that hand on what they get: orthogonal over the channels, and mostly linear."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            out, into = module.weight.shape[:2]
            drawn = torch.empty(max(out, into), min(out, into)).normal_(generator=generator)
            basis, _ = torch.linalg.qr(drawn)
            module.weight.copy_((basis if out >= into else basis.T)[..., None, None])
        elif isinstance(module, InvertedResidual) and module.added:
            module.conv[-1].weight.fill_(BESIDE)
        elif isinstance(module, nn.Sequential) and isinstance(module[-1], nn.ReLU6):
            module[1].bias.fill_(NEARLY_LINEAR)


def _normalise(network: MobileNetV2, images: torch.Tensor) -> None:
    """Set the statistics of every batch normalisation to those of the images."""
    found = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [module.momentum for module in found]
    for module in found:
        module.momentum = 1.0  # what is seen is taken as it is
        module.train()
    network.features(images)
    for module, momentum in zip(found, momenta, strict=True):
        module.momentum = momentum
        module.eval()


def _fit(last: nn.Linear, features: torch.Tensor, wanted: torch.Tensor) -> None:
    """Solve ``features · weight + bias ≈ wanted`` by ridge regression in its dual form."""
    mean, level = features.mean(0), wanted.mean(0)
    apart = features - mean
    ridge = RIDGE * features.var(0).mean() * torch.eye(len(features), dtype=features.dtype)
    weight = apart.T @ torch.linalg.solve(apart @ apart.T + ridge, wanted - level)
    last.weight.copy_(weight.T)
    last.bias.copy_(level - mean @ weight)
