"""MobileNetV2: inverted residuals, thin outside and wide within, with linear bottlenecks.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
Parameter names are torchvision's, so that its checkpoints load.
"""

import torch
from torch import nn

from edgekit.networks.weights import untrained

__all__ = ["InvertedResidual", "MobileNetV2", "mobilenetv2"]

BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Table 2 of the paper: expansion, channels out, repetitions, stride of the first."""


def mobilenetv2(classes: int = 1000, width: float = 1.0) -> "MobileNetV2":
    """MobileNetV2: (n, 3, h, w) → (n, classes); at width 1 3.5 M parameters and 0.3 G MACs at 224."""
    return untrained(lambda: MobileNetV2(classes, width))


class MobileNetV2(nn.Module):  # type: ignore[misc]
    """The network of table 2, every channel count scaled by ``width``; the last one never below 1280."""

    input_shape = (1, 3, 224, 224)

    def __init__(self, classes: int, width: float):
        super().__init__()
        channels = _eighths(32 * width)
        last = _eighths(1280 * max(1.0, width))
        features: list[nn.Module] = [_convolution(3, channels, kernel=3, stride=2)]
        for expansion, out, repetitions, stride in BLOCKS:
            for index in range(repetitions):
                features.append(InvertedResidual(channels, _eighths(out * width), stride if index == 0 else 1, expansion))
                channels = _eighths(out * width)
        features.append(_convolution(channels, last))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class InvertedResidual(nn.Module):  # type: ignore[misc]
    """Widen, filter each channel by itself, narrow without an activation; added to the input where the shapes agree."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int):
        super().__init__()
        wide = channels * expansion
        self.added = stride == 1 and channels == out
        self.conv = nn.Sequential(
            *([] if expansion == 1 else [_convolution(channels, wide)]),
            _convolution(wide, wide, kernel=3, stride=stride, groups=wide),
            nn.Conv2d(wide, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.added else self.conv(x)


def _convolution(channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU6())


def _eighths(channels: float) -> int:
    """The nearest multiple of 8 that does not lose more than a tenth, as in the authors' own code.

    >>> [_eighths(32 * width) for width in (1.0, 0.75, 0.35)]
    [32, 24, 16]
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
