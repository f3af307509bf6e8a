"""Facts over a shell, before anything of ours is on the machine."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.login import login, offered, trust
from devices.setup.shell_facts import machine_of
from edgekit.errors import DeviceError
from tests.sshbed import Bed, Host, bed


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


def known(lab: Bed, name: str, python: str | None = None) -> Host:
    """A machine whose python3 is this script instead."""
    binds: list[tuple[Path, str]] = []
    if python is not None:
        there = lab.folder / f"{name}-python3"
        there.write_text(f"#!/bin/sh\n{python}\n")
        there.chmod(0o755)
        binds = [(there, str(Path("/usr/bin/python3").resolve()))]
    host = lab.host(name, binds=binds)
    trust(host.device(), offered(host.device()))
    return host


def test_a_bare_machine_says_what_it_is(lab: Bed) -> None:
    host = known(lab, "bare")
    with login(host.device()) as shell:
        found = machine_of(shell)
    assert (found.home, found.user, found.bits) == ("/mnt", "root", 64)
    assert [each.addresses for each in found.interfaces if each.name == "eth0"] == [(f"{host.ip}/24",)]
    assert found.clock_offset_s is not None and abs(found.clock_offset_s) < 60
    assert sorted(path.name for path in host.home.iterdir()) == [".ssh"]


def test_the_clock_of_a_machine_that_is_slow_to_answer_is_not_taken_to_be_wrong(lab: Bed) -> None:
    with login(known(lab, "slow", f'sleep 2; exec {sys.executable} "$@"').device()) as shell:
        found = machine_of(shell)
    assert found.clock_offset_s is not None and abs(found.clock_offset_s) < 0.5  # both clocks are this one


@pytest.mark.parametrize(
    ("name", "python", "said"),
    [
        ("none", "exit 127", "its python3 cannot be used (it says nothing); install Python 3.10 or newer there"),
        ("old", "echo 'Python 3.6 is too old' >&2; exit 1", "its python3 cannot be used (Python 3.6 is too old); install"),
        ("odd", "echo hello", "what its probe says is not understood"),
        ("mute", "true", "what its probe says is not understood"),
    ],
)
def test_a_machine_without_a_usable_python_says_so(lab: Bed, name: str, python: str, said: str) -> None:
    with login(known(lab, name, python).device()) as shell, pytest.raises(DeviceError) as caught:
        machine_of(shell)
    assert f"{name}: {said}" in str(caught.value)
