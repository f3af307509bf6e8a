"""Functions of one number, which become tables of 256."""

from collections.abc import Callable
from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.mcu.arithmetic import multiplier_of, scaled
from devices.mcu.compiler.draft import refuse
from devices.mcu.compiler.entries import NUMBERS, Curve, Reals, Scaling
from devices.mcu.lookup import hard_swish, leaky
from edgekit.errors import GraphError
from edgekit.onnxio.network import Operator as Node

__all__ = ["BINARY", "UNARY", "exact_rule", "table"]

_erf = np.vectorize(erf, otypes=[np.float64])


def _number(node: Node, name: str, default: float) -> float:
    found = node.attributes.get(name, default)
    return float(found) if isinstance(found, int | float) else default


def _hard_sigmoid(node: Node, x: Reals) -> Reals:
    return np.clip(_number(node, "alpha", 0.2) * x + _number(node, "beta", 0.5), 0, 1)


def _gelu(node: Node, x: Reals) -> Reals:
    if node.attributes.get("approximate") == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), np.float64)
    return np.asarray(0.5 * x * (1 + _erf(x / np.sqrt(2))), np.float64)


def _sigmoid(x: Reals) -> Reals:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float64)


UNARY: dict[str, Callable[[Node, Reals], Any]] = {
    "Abs": lambda node, x: np.abs(x),
    "Elu": lambda node, x: np.where(x < 0, _number(node, "alpha", 1.0) * np.expm1(np.minimum(x, 0)), x),
    "Erf": lambda node, x: _erf(x),
    "Exp": lambda node, x: np.exp(x),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node, x: x * np.clip(x / 6 + 0.5, 0, 1),
    "LeakyRelu": lambda node, x: np.where(x < 0, _number(node, "alpha", 0.01) * x, x),
    "Neg": lambda node, x: -x,
    "QuickGelu": lambda node, x: x * _sigmoid(_number(node, "alpha", 1.702) * x),
    "Relu": lambda node, x: np.maximum(x, 0),
    "Sigmoid": lambda node, x: _sigmoid(x),
    "Softplus": lambda node, x: np.logaddexp(0, x),
    "Softsign": lambda node, x: x / (1 + np.abs(x)),
    "Sqrt": lambda node, x: np.sqrt(np.maximum(x, 0)),
    "Swish": lambda node, x: x * _sigmoid(_number(node, "alpha", 1.0) * x),
    "Tanh": lambda node, x: np.tanh(x),
}
"""By the ONNX operator."""

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "PRelu": lambda x, slope: np.where(x < 0, slope * x, x),
    "Pow": np.power,
    "Sub": np.subtract,
}
"""Of two numbers, of which one is a constant, or a function of the same number as the other."""


def exact_rule(node: Node, held: Scaling | None) -> Callable[[Scaling], NDArray[np.int8]] | None:
    """The arithmetic of integers of an operator that has one, for an input with a scale and zero."""
    alpha = _number(node, "alpha", 0.01)
    if held is None or node.op not in ("HardSwish", "LeakyRelu") or alpha <= 0:
        return None

    def rule(out: Scaling) -> NDArray[np.int8]:
        scales = (held.scale, held.zero, out.scale, out.zero)
        try:
            return hard_swish(scales) if node.op == "HardSwish" else leaky(scales, alpha)
        except GraphError as error:
            refuse(node, str(error))

    return rule


def table(curve: Curve, out: Scaling) -> NDArray[np.int8]:
    """The number of the output for each number of the input.

    Another scale alone is arithmetic of integers, like that of every operator, and so is what ``exact_rule`` knows; all else is
    rounded once, halves to even.
    """
    if curve.exact is not None:
        return np.clip(curve.exact(out), out.low, out.high)
    if curve.scaling is not None:
        multiplier, shift = multiplier_of(curve.scaling.scale / out.scale)
        found = scaled(NUMBERS - curve.scaling.zero, multiplier, shift) + out.zero
    else:
        found = np.rint(np.nan_to_num(curve.reals / out.scale, nan=0.0, posinf=1e9, neginf=-1e9).clip(-1e9, 1e9)) + out.zero
    return np.clip(found, out.low, out.high).astype(np.int8)
