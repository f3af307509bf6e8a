"""What is usual for this machine, and how it is remembered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.runtime.engine import reference_work


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh one, in which nothing is known of this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(reference_work, "USUAL_S", 0.01)
    reference_work._usual_s.cache_clear()
    yield tmp_path / "cache"
    reference_work._usual_s.cache_clear()


@pytest.fixture
def kept(cache: Path) -> Path:
    """The one file of a cache in which this machine is known."""
    assert reference_work.slowness() > 0
    reference_work._usual_s.cache_clear()
    (path,) = (cache / "edgekit" / "usual").iterdir()
    return path


def test_slowness_is_relative_to_what_was_written_down(kept: Path) -> None:
    kept.write_text("1e3")
    assert 0 < reference_work.slowness() < 1e-3


def test_what_is_no_number_is_measured_anew(kept: Path) -> None:
    kept.write_text("")
    assert reference_work.slowness() > 1e-3


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    cache.touch()
    assert reference_work.slowness() > 1e-3
