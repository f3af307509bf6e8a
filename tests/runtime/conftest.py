"""Every test of the runtime is watched for what it leaves behind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.bed import tracked


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that has to be empty afterwards, as have the lists of threads and processes."""
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with tracked(folder):
        yield folder
