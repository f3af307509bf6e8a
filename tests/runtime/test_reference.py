"""What is usual for this machine, and how it is remembered."""

from pathlib import Path

import pytest

from edgekit.runtime import reference


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one file of a fresh cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(reference, "USUAL_S", 0.01)
    reference._usual_s.cache_clear()
    assert reference.slowness() > 0
    reference._usual_s.cache_clear()
    (path,) = (tmp_path / "edgekit" / "usual").iterdir()
    return path


def test_slowness_is_relative_to_what_was_written_down(kept: Path) -> None:
    kept.write_text("1e3")
    assert 0 < reference.slowness() < 1e-3
    reference._usual_s.cache_clear()


def test_what_is_no_number_is_measured_anew(kept: Path) -> None:
    kept.write_text("")
    assert reference.slowness() > 1e-3
    reference._usual_s.cache_clear()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(reference, "USUAL_S", 0.01)
    reference._usual_s.cache_clear()
    assert reference.slowness() > 1e-3
    reference._usual_s.cache_clear()
