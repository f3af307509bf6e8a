"""Results are kept under the names of their frames."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.deploy.client.result_files import ResultWriter
from edgekit.deploy.client.sink import Result
from edgekit.errors import FormatError, StageError, UsageError

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def result(frame: int, **arrays: np.ndarray) -> Result:
    return Result(frame, arrays, None, 0.0, 0.0, 0.0)


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
