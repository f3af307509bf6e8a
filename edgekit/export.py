"""torch → ONNX, in eval mode and with every shape fixed; the only importer of torch.onnx."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from io import StringIO
from typing import TYPE_CHECKING, Any

from edgekit.errors import GraphError, UsageError
from edgekit.onnxio import normalise

if TYPE_CHECKING:
    from torch import nn

__all__ = ["export", "network"]

Inputs = Sequence[tuple[str | None, tuple[int, ...]] | tuple[str | None, tuple[int, ...], str | None]]
"""Shapes of the arguments of ``forward``, perhaps with a type: those without a name in order, those with one by that name."""


def export(target: "str | nn.Module", inputs: Inputs = ()) -> bytes:
    """The ONNX file of a torch network.

    ``target`` is the network, or ``PACKAGE.MODULE:FACTORY`` as for ``network``. Without ``inputs`` its ``input_shape`` is taken,
    and for inputs without a type its ``input_dtype``, such as "int64", or else that of its weights.

    Raises:
        UsageError: torch is not installed, the factory cannot be had, or the inputs are not those of ``forward``.
        GraphError: torch cannot express the network in ONNX.
    """
    return normalise(_exported(network(target) if isinstance(target, str) else target, inputs))


def network(target: str) -> "nn.Module":
    """What ``PACKAGE.MODULE:FACTORY`` returns when called without arguments; the current folder is searched too.

    Raises:
        UsageError: torch is not installed, there is no such module or factory, or it makes no network.
    """
    _require_torch()
    from torch import nn

    name, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in (*name.split("."), attribute)):
        raise UsageError(f"network {target!r}: expected PACKAGE.MODULE:FACTORY, such as edgekit.networks.resnet:resnet18")
    with _current_folder():
        factory = _factory(name, attribute)
        try:
            made = factory if isinstance(factory, nn.Module) else factory()
        except Exception as error:
            raise UsageError(f"{target} was called without arguments and raised {_one_line(error)}; make it return a network") from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"{target}: expected it to return a torch.nn.Module, got {type(made).__name__}; return the network itself")
    return made


def _factory(name: str, attribute: str) -> Any:
    try:
        module = import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"no module {error.name!r}, here or among the installed; run where it can be imported") from error
        raise UsageError(f"importing {name} raised {_one_line(error)}; make it import on its own first") from error
    factory = getattr(module, attribute, None)
    if factory is None or not callable(factory):
        offered = [key for key, value in vars(module).items() if callable(value) and getattr(value, "__module__", None) == name]
        choice = f"; it has {', '.join(sorted(offered)[:8])}" if offered else ""
        raise UsageError(f"{name}: expected a callable {attribute!r}, got {'none' if factory is None else type(factory).__name__}{choice}")
    return factory


def _exported(module: "nn.Module", inputs: Inputs) -> bytes:
    _require_torch()
    import torch
    import torch.onnx

    positional, named = _arguments(module, inputs)
    modes = {part: part.training for part in module.modules()}
    try:
        with _quiet():
            program = torch.onnx.export(module.eval(), positional, kwargs=named, dynamo=True, verbose=False)
    except Exception as error:
        raise GraphError(
            f"torch.onnx.export of {type(module).__name__} failed: {_one_line(_cause(error))}; "
            "check the --input shapes (NAME:int64:1x16 for whole numbers), or export it yourself and pass the .onnx file"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training
    model = program.model_proto
    for noted in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del noted.metadata_props[:]  # torch notes the source lines of this machine: not part of the network
    return bytes(model.SerializeToString())


def _arguments(module: "nn.Module", inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Random tensors for ``forward``, in the precision and place of the weights; of another type, zeros."""
    import torch

    shapes: Inputs = inputs or [(None, shape) for shape in (getattr(module, "input_shape", None),) if shape]
    if not shapes:
        raise UsageError(f"{type(module).__name__} has no input_shape; pass one --input per argument, such as --input 1x3x224x224")
    like = next(module.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    usual = getattr(module, "input_dtype", None)
    drawn = []
    for name, shape, *kind in shapes:
        dtype = next((each for each in (*kind, usual) if each), None)
        values = torch.rand(shape, generator=generator)
        drawn.append((name, torch.zeros(shape, dtype=getattr(torch, dtype), device=like.device) if dtype else values.to(like)))
    positional, named = tuple(tensor for name, tensor in drawn if not name), {name: tensor for name, tensor in drawn if name}
    try:
        bound = signature(module.forward).bind(*positional, **named)
    except TypeError as error:
        takes = ", ".join(signature(module.forward).parameters)
        raise UsageError(
            f"{type(module).__name__} takes ({takes}), got {len(shapes)} inputs: {error}; pass one --input for each"
        ) from error
    return bound.args, bound.kwargs  # in the order of forward


def _require_torch() -> None:
    for package in ("torch", "onnxscript"):
        if find_spec(package) is None:
            raise UsageError(f"{package} is not installed; pip install 'edgekit[torch]'")


@contextmanager
def _current_folder() -> Iterator[None]:
    """Imports search the current folder first, as under ``python -m``; a console script does not."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch prints, logs and warns of itself; what goes wrong is raised as well, and said once."""
    disabled = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        logging.disable(disabled)


def _cause(error: BaseException) -> BaseException:
    """The first error of the chain: torch wraps it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200].rstrip('.')}"
