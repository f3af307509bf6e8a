"""The firmware as a program of this machine, built once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmwarebed import HostBoard, host_firmware


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return host_firmware(tmp_path_factory.mktemp("host"))


@pytest.fixture
def host(program: Path) -> Iterator[HostBoard]:
    found = HostBoard(program)
    yield found
    found.close()
