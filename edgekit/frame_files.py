"""Frames of inputs from files: .npz by tensor name, .npy where there is one tensor, folders of either; each is checked."""

import io
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import FrameError
from edgekit.graph import Tensor

__all__ = ["check_frame", "read_frames"]

Arrays = Mapping[str, NDArray[np.generic]]
STANDARD = "-"
SUFFIXES = (".npz", ".npy")
UNNAMED = {"", "arr_0"}
"""Names of an array that was saved without one."""


def check_frame(arrays: Arrays, tensors: tuple[Tensor, ...], what: str) -> None:
    """Refuse inputs that are not those of the graph.

    Raises:
        FrameError: names, shapes or types differ.
    """
    for tensor in tensors:
        if tensor.name not in arrays:
            raise FrameError(
                f"{what}: expected an input {tensor.name!r}, got {', '.join(arrays) or 'nothing'}; name the arrays like the inputs"
            )
        array = arrays[tensor.name]
        if tuple(array.shape) != tensor.shape or array.dtype != tensor.dtype:
            raise FrameError(
                f"{what}: input {tensor.name!r} is expected as {tensor.dtype} {list(tensor.shape or ())}, "
                f"got {array.dtype} {list(array.shape)}; convert it first"
            )


def read_frames(source: str, tensors: tuple[Tensor, ...]) -> Iterator[tuple[str, Arrays]]:
    """Frames with their names from a file, a folder (in the order of names), or ``-`` (an .npz or .npy on standard input).

    An array with one more leading axis than its tensor holds that many frames, and so does one that is a multiple of the
    tensor along its first axis. Standard input is read at once, files
    of a folder one by one as they are needed.

    Raises:
        FrameError: nothing there, not an array file, or arrays that do not fit the tensors.
    """
    if source == STANDARD:
        return _split("stdin", _arrays("standard input", io.BytesIO(sys.stdin.buffer.read()), tensors), tensors)
    path = Path(source)
    files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise FrameError(f"{source}: expected .npz or .npy files, found none; save inputs with numpy.savez")
    if not files[0].is_file():
        raise FrameError(f"{source}: expected a file, a folder or -, found nothing there; check the path")
    stems = [file.stem for file in files]
    if twice := [stem for stem in stems if stems.count(stem) > 1]:
        raise FrameError(f"{source}: {twice[0]}.npz and {twice[0]}.npy would give results of one name; rename one")
    return _read(files, tensors)


def _read(files: Sequence[Path], tensors: tuple[Tensor, ...]) -> Iterator[tuple[str, Arrays]]:
    for file in files:
        try:
            with file.open("rb") as stream:
                arrays = _arrays(str(file), stream, tensors)
        except OSError as error:
            raise FrameError(f"{file}: cannot be read ({error.strerror}); check the path") from error
        yield from _split(file.stem, arrays, tensors, str(file))


def _arrays(what: str, stream: BinaryIO, tensors: tuple[Tensor, ...]) -> Arrays:
    try:
        held = np.load(stream, allow_pickle=False)
        arrays = dict(held) if isinstance(held, np.lib.npyio.NpzFile) else {"": held}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error, MemoryError) as error:
        raise FrameError(f"{what}: expected an .npz or .npy file, got something else ({error}); save it with numpy.savez") from error
    if len(tensors) == len(arrays) == 1 and arrays.keys() <= UNNAMED:
        return {tensors[0].name: next(iter(arrays.values()))}
    return arrays


def _split(name: str, arrays: Arrays, tensors: tuple[Tensor, ...], what: str = "standard input") -> Iterator[tuple[str, Arrays]]:
    arrays = dict(arrays) | {t.name: _stacked(arrays[t.name], t) for t in tensors if t.name in arrays}
    stacked = {t.name for t in tensors if t.name in arrays and arrays[t.name].ndim == len(t.shape or ()) + 1}
    if stacked != {tensor.name for tensor in tensors}:
        check_frame(arrays, tensors, what)
        yield name, arrays
        return
    counts = {len(arrays[tensor]) for tensor in stacked}
    if len(counts) > 1:
        raise FrameError(f"{what}: the inputs hold {' and '.join(map(str, sorted(counts)))} frames; give each as many")
    for index in range(counts.pop()):
        frame = {tensor: arrays[tensor][index] for tensor in stacked}
        check_frame(frame, tensors, f"{what}[{index}]")
        yield f"{name}-{index}", frame


def _stacked(array: NDArray[np.generic], tensor: Tensor) -> NDArray[np.generic]:
    """Samples along the first axis, which is that of the batch, as frames."""
    shape = tensor.shape or ()
    several = shape and array.shape[1:] == shape[1:] and array.ndim == len(shape) and shape[0] and len(array) > shape[0]
    return array.reshape(-1, *shape) if several and len(array) % shape[0] == 0 else array
