"""What a package offers is imported when it is first used, and not before."""

import subprocess
import sys
from pathlib import Path

import pytest

import edgekit.api.fallbacks  # a module whose name is also that of what it holds
from edgekit import api

ROOT = Path(__file__).parents[2]


def loaded(script: str) -> set[str]:
    """The modules of a fresh interpreter that ran a script."""
    command = [sys.executable, "-P", "-c", f"{script}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_name_is_imported_when_it_is_used() -> None:
    assert not {"numpy", "msgspec", "edgekit.plan"} & loaded("import edgekit, edgekit.api")
    assert "edgekit.plan" in loaded("import edgekit; edgekit.Plan")


def test_all_that_is_offered_is_there_and_listed() -> None:
    for package in (edgekit, api):
        assert all(getattr(package, name) is not None for name in package.__all__)
        assert set(package.__all__) <= set(dir(package))


def test_a_function_is_not_hidden_by_the_module_that_it_is_in() -> None:
    assert callable(api.fallbacks) and callable(api.demo)


def test_what_is_not_offered_is_an_error_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match=r"module 'edgekit.api' has no attribute 'deplyo'"):
        api.deplyo  # noqa: B018
