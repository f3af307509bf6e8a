"""Frames come out of files as they went in."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import FrameError
from edgekit.frame_files import read_frames
from edgekit.graph import Tensor

X = Tensor("x", (2, 3), "float32")
INDEX = Tensor("i", (), "int64")
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_one_array_is_one_frame_and_a_stack_of_them_is_several(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", ARRAY)
    np.savez(tmp_path / "some.npz", x=np.stack([ARRAY, ARRAY + 1]))
    np.savez(tmp_path / "unnamed.npz", ARRAY)
    assert [name for name, _ in read_frames(str(tmp_path), (X,))] == ["one", "some-0", "some-1", "unnamed"]
    (first, second) = (arrays["x"] for _, arrays in read_frames(str(tmp_path / "some.npz"), (X,)))
    assert np.array_equal(first, ARRAY) and np.array_equal(second, ARRAY + 1)


def test_several_inputs_are_stacked_together_or_not_at_all(tmp_path: Path) -> None:
    np.savez(tmp_path / "pair.npz", x=np.stack([ARRAY] * 2), i=np.array([4, 5]))
    assert [arrays["i"] for _, arrays in read_frames(str(tmp_path / "pair.npz"), (X, INDEX))] == [4, 5]
    np.savez(tmp_path / "half.npz", x=np.stack([ARRAY] * 2), i=np.array(4))
    with pytest.raises(FrameError, match=r"half.npz: input 'x' is expected as float32 \[2, 3\], got float32 \[2, 2, 3\]"):
        next(read_frames(str(tmp_path / "half.npz"), (X, INDEX)))


def test_files_are_read_one_by_one(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAY)
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY")
    frames = read_frames(str(tmp_path), (X,))
    assert next(frames)[0] == "a"
    with pytest.raises(FrameError, match=r"b.npy: expected an .npz or .npy file"):
        next(frames)
