"""On CI a test may lack hardware or outside data, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_that_passes():
    pass

def test_that_lacks_hardware():
    pytest.skip("needs hardware Raspberry Pi 4")

@pytest.mark.skipif(True, reason="needs data imagenette")
def test_that_lacks_data():
    pass

@pytest.mark.xfail
def test_that_is_known_to_fail():
    assert False
"""
TOOL = """
@pytest.mark.skipif(True, reason="needs tool ssh")
def test_that_lacks_a_tool():
    pass
"""
MODULE = """
pytest.skip("needs tool qemu", allow_module_level=True)
"""


def outcome(tests: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Exit code and last line of a pytest run under the conftest of this folder."""
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_it.py").write_text(tests)
    clean = {name: text for name, text in os.environ.items() if name != "CI" and not name.startswith("PYTEST")}
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", os.devnull]
    done = subprocess.run(command, cwd=folder, env=clean | alone | environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.splitlines()[-1].split(" in ")[0]


@pytest.mark.parametrize(
    ("tests", "ci", "expected"),
    [
        (TESTS, "true", (0, "1 passed, 2 skipped, 1 xfailed")),
        (TESTS + TOOL, "", (0, "1 passed, 3 skipped, 1 xfailed")),
        (TESTS + TOOL, "true", (1, "1 passed, 2 skipped, 1 xfailed, 1 error")),
        (TESTS + MODULE, "true", (2, "1 error")),
    ],
)
def test_a_missing_tool_fails_the_run_only_on_ci(tests: str, ci: str, expected: tuple[int, str], tmp_path: Path) -> None:
    assert outcome(tests, tmp_path, CI=ci) == expected
