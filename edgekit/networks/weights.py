"""First weights of a network that nobody has trained: seeded, so that they are the same on every machine."""

from collections.abc import Callable
from math import sqrt
from typing import TypeVar

import torch
from torch import nn

__all__ = ["untrained"]

Network = TypeVar("Network", bound=nn.Module)


def untrained(build: Callable[[], Network], *, seed: int = 0) -> Network:
    """The module that ``build`` makes, with first weights, in eval mode; torch's global random state stays untouched.

    Convolutions are He-normal over their inputs (He et al., "Delving Deep into Rectifiers", ICCV 2015), linear maps and
    bare parameters normal with deviation 0.02, truncated at two deviations. The running statistics of a batch
    normalisation are drawn near mean 0 and variance 1: not at them, so that it does not vanish from the function.
    """
    with torch.device("meta"):  # torch would first draw weights of its own
        network = build()
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            _fill(module, generator)
    network.eval()
    return network


def _fill(module: nn.Module, generator: torch.Generator) -> None:
    """Set every parameter and buffer that ``module`` holds itself."""
    own = dict(module.named_parameters(recurse=False))
    if isinstance(module, nn.Conv2d):
        own["weight"].normal_(0.0, sqrt(2 / module.weight[0].numel()), generator=generator)
    elif isinstance(module, nn.BatchNorm2d):
        own["weight"].fill_(1.0)
        module.running_mean.normal_(0.0, 0.1, generator=generator)
        module.running_var.uniform_(0.8, 1.2, generator=generator)
        module.num_batches_tracked.zero_()
    elif isinstance(module, nn.LayerNorm):
        own["weight"].fill_(1.0)
    else:
        for name, weight in own.items():
            if name != "bias":
                nn.init.trunc_normal_(weight, std=0.02, a=-0.04, b=0.04, generator=generator)
    if own.get("bias") is not None:
        own["bias"].zero_()
