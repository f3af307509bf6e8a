"""ResNet: blocks that learn what to add to their input.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016. The bottleneck strides in its 3x3
convolution, as most checkpoints do. Parameter names are torchvision's, so that its checkpoints load.
"""

import torch
from torch import nn

from edgekit.networks.weights import untrained

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet50"]


def resnet18(classes: int = 1000) -> "ResNet":
    """ResNet-18: (n, 3, h, w) → (n, classes); 11.7 M parameters, 1.8 G MACs at 224."""
    return _untrained(BasicBlock, (2, 2, 2, 2), classes)


def resnet50(classes: int = 1000) -> "ResNet":
    """ResNet-50: (n, 3, h, w) → (n, classes); 25.6 M parameters, 4.1 G MACs at 224."""
    return _untrained(Bottleneck, (3, 4, 6, 3), classes)


class BasicBlock(nn.Module):  # type: ignore[misc]
    """Two 3x3 convolutions beside a shortcut (figure 2 of the paper)."""

    expansion = 1

    def __init__(self, width: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(width, channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):  # type: ignore[misc]
    """A 3x3 convolution between two 1x1, narrow inside and wide outside (figure 5, right)."""

    expansion = 4

    def __init__(self, width: int, channels: int, stride: int):
        super().__init__()
        out = channels * self.expansion
        self.conv1 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(width, out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):  # type: ignore[misc]
    """A stem, four groups of ``depths`` blocks at strides 4, 8, 16 and 32, and a linear classifier."""

    input_shape = (1, 3, 224, 224)

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, int, int, int], classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        width = 64
        for index, (depth, channels) in enumerate(zip(depths, (64, 128, 256, 512), strict=True)):
            first = block(width, channels, stride=1 if index == 0 else 2)
            width = channels * block.expansion
            rest = (block(width, channels, stride=1) for _ in range(depth - 1))
            self.add_module(f"layer{index + 1}", nn.Sequential(first, *rest))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def _untrained(block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, int, int, int], classes: int) -> ResNet:
    network = untrained(lambda: ResNet(block, depths, classes))
    for module in network.modules():
        if isinstance(module, BasicBlock | Bottleneck):  # at 1, every block would double the variance of its input
            nn.init.constant_(module.bn2.weight if isinstance(module, BasicBlock) else module.bn3.weight, 0.25)
    return network


def _shortcut(width: int, out: int, stride: int) -> nn.Sequential | None:
    """The projection that makes the shapes meet; None where they already do (option B of the paper)."""
    if stride == 1 and width == out:
        return None
    return nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))
