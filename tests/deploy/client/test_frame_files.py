"""Frames come out of files as they went in, and results are kept under the names of their frames."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.deploy.client.frame_files import ResultWriter, read_frames
from edgekit.deploy.client.sink import Result
from edgekit.errors import FormatError, FrameError, StageError, UsageError
from edgekit.graph import Tensor

X = Tensor("x", (2, 3), "float32")
INDEX = Tensor("i", (), "int64")
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def result(frame: int, **arrays: np.ndarray) -> Result:
    return Result(frame, arrays, None, 0.0, 0.0, 0.0)


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


def test_results_come_back_also_under_names_that_numpy_would_take_for_options(tmp_path: Path) -> None:
    writer = ResultWriter(str(tmp_path / "y.npz"))
    for frame in range(2):
        writer.write(f"f{frame}", result(frame, **{"file": ARRAY + frame, "a/b": np.array(frame)}))
    writer.close()
    writer.close()
    with np.load(tmp_path / "y.npz") as held:
        assert np.array_equal(held["file"], np.stack([ARRAY, ARRAY + 1])) and held["a/b"].tolist() == [0, 1]


def test_a_folder_gets_a_file_for_each_frame(tmp_path: Path) -> None:
    writer = ResultWriter(str(tmp_path / "out"))
    writer.write("cat", result(0, y=ARRAY))
    with pytest.raises(StageError, match="lost"):
        writer.write("dog", Result(1, None, StageError("lost"), 0.0, 0.0, 0.0))
    writer.close()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cat.npz"]
    with np.load(tmp_path / "out" / "cat.npz") as held:
        assert np.array_equal(held["y"], ARRAY)


def test_places_that_cannot_be_written_to_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for target in (tmp_path / "y.npy", tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match="expected an .npz file, a folder or - to write results to"):
            ResultWriter(str(target))
    writer = ResultWriter(str(tmp_path / "notes.txt" / "y.npz"))
    writer.write("a", result(0, y=ARRAY))
    with pytest.raises(FormatError, match="cannot be written"):
        writer.close()
