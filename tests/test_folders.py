"""Folders lie where the XDG convention has them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit import folders

EACH = (
    (folders.cache, "XDG_CACHE_HOME", ".cache/edgekit"),
    (folders.config, "XDG_CONFIG_HOME", ".config/edgekit"),
    (folders.state, "XDG_STATE_HOME", ".local/state/edgekit"),
)


@pytest.mark.parametrize("folder, variable, usual", EACH)
def test_a_folder_lies_in_the_home_unless_its_variable_moves_it(
    folder: Callable[[], Path], variable: str, usual: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv(variable, raising=False)
    assert folder() == Path("/home/ada", usual)
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder() == tmp_path / "edgekit"
    for invalid in ("", "some/where"):
        monkeypatch.setenv(variable, invalid)
        assert folder() == Path("/home/ada", usual)
