"""Vision Transformer: an image as a sequence of patches.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021; the tiny
size is from Touvron et al., "Training data-efficient image transformers", ICML 2021 (table 1).
Parameter names are timm's, so that its checkpoints load.
"""

import torch
from torch import nn

from edgekit.errors import UsageError
from edgekit.networks.weights import untrained

__all__ = ["Attention", "Block", "Patches", "Perceptron", "VisionTransformer", "vit_tiny"]


def vit_tiny(
    *, classes: int = 1000, image: int = 224, patch: int = 16, dim: int = 192, depth: int = 12, heads: int = 3
) -> "VisionTransformer":
    """ViT-Ti/16: (n, 3, image, image) → (n, classes); 5.7 M parameters, 1.3 G MACs at 224.

    Raises:
        UsageError: patches do not tile the image, or heads do not divide ``dim``.
    """
    if image % patch or dim % heads:
        raise UsageError(f"vit_tiny: expected patch | image and heads | dim, got {patch}, {image} and {heads}, {dim}; choose divisors")
    return untrained(lambda: VisionTransformer(classes, image, patch, dim, depth, heads))


class VisionTransformer(nn.Module):  # type: ignore[misc]
    """Patches and a class token with learned positions, ``depth`` blocks, and a classifier that reads the token."""

    def __init__(self, classes: int, image: int, patch: int, dim: int, depth: int, heads: int):
        super().__init__()
        self.input_shape = (1, 3, image, image)
        self.patch_embed = Patches(patch, dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + (image // patch) ** 2, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class Patches(nn.Module):  # type: ignore[misc]
    """(n, 3, h, w) → (n, patches, dim): one linear map of each patch, written as a strided convolution."""

    def __init__(self, patch: int, dim: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Block(nn.Module):  # type: ignore[misc]
    """Attention, then a two-step perceptron, each normalised first and added to its input (equations 2 and 3)."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Perceptron(dim, 4 * dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):  # type: ignore[misc]
    """Scaled dot-product attention in several heads (appendix A): (n, tokens, dim) → the same."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, dim = x.shape
        size = dim // self.heads
        query, key, value = self.qkv(x).reshape(n, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query * size**-0.5 @ key.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(n, tokens, dim))


class Perceptron(nn.Module):  # type: ignore[misc]
    """Widen, GELU, narrow."""

    def __init__(self, dim: int, wide: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, wide)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(wide, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))
