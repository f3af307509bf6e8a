"""torch → ONNX, in eval mode and with every shape fixed; the only importer of torch.onnx.

load torch ── make the network ── trace ── decompose ── translate ── optimise ── check
"""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgekit.errors import GraphError, UsageError
from edgekit.input import Input
from edgekit.onnxio import normalise
from edgekit.progress import Tell, silent

if TYPE_CHECKING:
    from torch import nn

__all__ = ["export", "network"]

Target: TypeAlias = "str | nn.Module | Callable[[], nn.Module]"

Inputs = Sequence[Input | tuple[str | None, tuple[int, ...]] | tuple[str | None, tuple[int, ...], str | None]]
"""Arguments of ``forward``: those without a name in order, those with one by that name."""

STAGES = (
    ("Obtain model graph", "tracing", 0),
    ("Run decomposition", "decomposing operators", 9),
    ("Translate the graph", "translating to ONNX", 14),
    ("Optimize the ONNX graph", "optimising", 15),
)
"""What torch says when it begins a stage, our words for it, and about how many of ``WHOLE`` are over then."""

CHECKING, WHOLE = 16, 17


def export(target: "Target", inputs: Inputs = (), tell: Tell = silent) -> bytes:
    """The ONNX file of a torch network.

    target: the network, a function that returns it, or ``PACKAGE.MODULE:FACTORY`` as for ``network``.
    inputs: without any its ``input_shape`` is taken; for those without a type its ``input_dtype``, such as "int64", or else
        that of its weights.

    Raises:
        UsageError: torch is not installed, the factory cannot be had, or the inputs are not those of ``forward``.
        GraphError: torch cannot express the network in ONNX.
    """
    tell("loading torch")
    _require_torch()
    import torch.onnx

    if not isinstance(target, torch.nn.Module):
        tell("making the network")
        target = network(target)
    data = _exported(target, inputs, tell)
    tell(f"stage {len(STAGES) + 1} of {len(STAGES) + 1}: checking", CHECKING, WHOLE)
    return normalise(data)


def network(target: "str | Callable[[], nn.Module]") -> "nn.Module":
    """What a function, or ``PACKAGE.MODULE:FACTORY``, returns when called without arguments.

    The current folder is searched too; ``folder/file.py:FACTORY`` is taken as the module of that file.

    Raises:
        UsageError: torch is not installed, there is no such module or factory, or it makes no network.
    """
    _require_torch()
    from torch import nn

    called = target if isinstance(target, str) else getattr(target, "__name__", type(target).__name__)
    with _current_folder():
        factory = _named(target) if isinstance(target, str) else target
        if not callable(factory):
            raise UsageError(f"expected a torch.nn.Module or a function that returns one, got {called}; pass the network itself")
        try:
            made = factory if isinstance(factory, nn.Module) else factory()
        except Exception as error:
            raise UsageError(f"{called} was called without arguments and raised {_one_line(error)}; make it return a network") from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"{called}: expected it to return a torch.nn.Module, got {type(made).__name__}; return the network itself")
    return made


def _named(target: str) -> Any:
    name, _, attribute = target.partition(":")
    if name.endswith(".py"):  # as one would type it to run the file
        name = ".".join(Path(name).with_suffix("").parts)
    if not all(part.isidentifier() for part in (*name.split("."), attribute)):
        raise UsageError(f"network {target!r}: expected PACKAGE.MODULE:FACTORY, such as edgekit.networks.resnet:resnet18")
    return _factory(name, attribute)


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


def _exported(module: "nn.Module", inputs: Inputs, tell: Tell) -> bytes:
    import torch.onnx

    positional, named = _arguments(module, inputs)
    modes = {part: part.training for part in module.modules()}
    try:
        with _quiet(_Stages(tell)):
            program = torch.onnx.export(module.eval(), positional, kwargs=named, dynamo=True, verbose=True)
    except Exception as error:
        raise GraphError(
            f"torch.onnx.export of {type(module).__name__} failed: {_one_line(_cause(error))}; "
            "check the --input shapes (NAME:int64:1x16 for whole numbers), or export it yourself and pass the .onnx file"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training
    model = program.model_proto
    for noted in (model, model.graph, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del noted.metadata_props[:]  # torch notes the source lines of this machine: not part of the network; those of nodes go later
    return bytes(model.SerializeToString())


def _arguments(module: "nn.Module", inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Tensors for ``forward``, in the place of the weights: examples as they are, others made up."""
    import torch

    usual, dtype = getattr(module, "input_shape", None), getattr(module, "input_dtype", None)
    asked = [Input(*each) for each in inputs or ([(None, usual)] if usual else [])]
    if not asked:
        raise UsageError(f"{type(module).__name__} has no input_shape; pass one --input per argument, such as --input 1x3x224x224")
    like = next(module.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    drawn = [(each.name, _tensor(each._replace(dtype=each.dtype or dtype), like, generator)) for each in asked]
    positional, named = tuple(tensor for name, tensor in drawn if not name), {name: tensor for name, tensor in drawn if name}
    try:
        bound = signature(module.forward).bind(*positional, **named)
    except TypeError as error:
        takes = ", ".join(signature(module.forward).parameters)
        raise UsageError(f"{type(module).__name__} takes ({takes}), got {len(asked)} inputs: {error}; pass one --input for each") from error
    return bound.args, bound.kwargs  # in the order of forward


def _tensor(given: Input, like: Any, generator: Any) -> Any:
    """An example as it is, zeros of a type, or random numbers in the precision of the weights; an example's are in that, too."""
    import torch

    if given.value is not None:
        tensor = torch.as_tensor(given.value, device=like.device)
        return tensor.to(like.dtype) if tensor.is_floating_point() else tensor
    values = torch.rand(given.shape, generator=generator)
    return torch.zeros(given.shape, dtype=getattr(torch, given.dtype), device=like.device) if given.dtype else values.to(like)


class _Stages(StringIO):
    """Takes what torch prints, and tells of the stages that it begins."""

    def __init__(self, tell: Tell):
        super().__init__()
        self._tell = tell

    def write(self, text: str) -> int:
        for number, (begin, words, done) in enumerate(STAGES, start=1):
            if text.startswith(begin) and text.endswith("..."):
                self._tell(f"stage {number} of {len(STAGES) + 1}: {words}", done, WHOLE)
        return len(text)


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
def _quiet(printed: StringIO) -> Iterator[None]:
    """Keep back what torch prints, logs and warns of itself; what goes wrong is raised as well, and said once."""
    disabled = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(), redirect_stdout(printed), redirect_stderr(StringIO()):
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
