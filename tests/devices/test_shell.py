"""Commands and files on a machine."""

import os
import stat
import threading
import time
from collections.abc import Iterator

import pytest

from devices.login import login, offered, trust
from devices.shell import Shell
from edgekit.errors import DeviceError
from tests.sshbed import Bed, Host, System, bed, run

THROUGH_SHELL = System(shell="/bin/bash", sftp="/usr/lib/openssh/sftp-server")
"""Its root has bash, through which sshd starts what serves files, as on most machines."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


@pytest.fixture(scope="module")
def host(lab: Bed) -> Host:
    made = lab.host("board")
    trust(made.device(), offered(made.device()))
    return made


@pytest.fixture
def shell(host: Host) -> Iterator[Shell]:
    with login(host.device()) as made:
        yield made


def test_a_command_says_how_it_ended(shell: Shell) -> None:
    assert shell.run("echo out; echo err >&2; exit 3", check=False) == (3, "out\n", "err\n")
    assert shell.run("cat", stdin=b"given\n").out == "given\n"
    assert shell.run("cd && pwd").out == "/mnt\n"


def test_a_command_that_fails_is_an_error_with_its_last_word(shell: Shell) -> None:
    with pytest.raises(DeviceError, match="^board: `echo a; echo b >&2; exit 3` failed with exit code 3: b$"):
        shell.run("echo a; echo b >&2; exit 3")
    with pytest.raises(DeviceError, match="^board: `false` failed with exit code 1: it said nothing$"):
        shell.run("false")


def test_much_on_both_streams_is_no_harm(shell: Shell) -> None:
    done = shell.run("yes out | head -c 3000000; yes err | head -c 3000000 >&2; yes out | head -c 3000000")
    assert (len(done.out), len(done.err)) == (6_000_000, 3_000_000)


def test_a_command_may_end_without_reading_what_it_is_given(shell: Shell) -> None:
    assert shell.run("echo enough", stdin=bytes(40_000_000)).out == "enough\n"


def test_a_command_that_takes_too_long_is_an_error(shell: Shell) -> None:
    with pytest.raises(DeviceError, match="board: `sleep 60` was not done after 0.3 s; is the machine overloaded?"):
        shell.run("sleep 60", timeout_s=0.3)
    assert shell.run("echo still here").out == "still here\n"


def test_a_file_is_written_whole_into_folders_that_are_made(shell: Shell, host: Host) -> None:
    data = os.urandom(3_000_000)
    shell.put(data, "~/a/b/c.bin", mode=0o640)
    shell.put(data[:1000], "~/a/b/c.bin", mode=0o600)
    path = host.home / "a" / "b" / "c.bin"
    assert path.read_bytes() == data[:1000] == shell.get("~/a/b/c.bin")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["c.bin"]


def test_a_file_that_cannot_be_written_is_an_error(shell: Shell, host: Host) -> None:
    (host.home / "plain").write_text("a file")
    with pytest.raises(DeviceError, match="^board: plain/x cannot be written .*; see its disk and the permissions there$"):
        shell.put(b"x", "~/plain/x")
    with pytest.raises(DeviceError, match="^board: /proc/x cannot be written"):
        shell.put(b"x", "/proc/x")
    with pytest.raises(DeviceError, match="^board: ~/nothing cannot be read"):
        shell.get("~/nothing")


@pytest.mark.xfail(strict=True, reason="what a login shell prints into SFTP ends in an error of paramiko's")
def test_a_login_shell_that_prints_is_named_or_does_no_harm_to_files(lab: Bed) -> None:
    host = lab.host("chatty", system=THROUGH_SHELL)
    (host.home / ".bashrc").write_text('echo "welcome to the lab"\n')
    trust(host.device(), offered(host.device()))
    with login(host.device()) as shell:
        try:
            shell.put(b"x", "~/a/file")
            assert (host.home / "a" / "file").read_bytes() == b"x"
        except DeviceError as error:
            assert "login shell" in str(error)


@pytest.mark.xfail(strict=True, reason="there is no end to the wait for SFTP where a login shell ends in another shell")
def test_files_that_nobody_serves_are_not_waited_for_without_end(lab: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.shell.OPEN_S", 1.0)
    host = lab.host("nested", system=THROUGH_SHELL)
    (host.home / ".bashrc").write_text("exec bash\n")
    trust(host.device(), offered(host.device()))
    ended: list[BaseException | None] = []

    def put() -> None:
        try:
            ended.append(shell.put(b"x", "~/a/file"))
        except (DeviceError, EOFError) as error:
            ended.append(error)

    with login(host.device()) as shell:
        thread = threading.Thread(target=put, daemon=True)
        thread.start()
        thread.join(8)
        in_time = list(ended)
    thread.join(8)  # it ends with the connection
    host.stop()
    assert len(in_time) == 1 and not isinstance(in_time[0], EOFError)


def test_a_full_disk_is_an_error_and_leaves_the_old_file(lab: Bed) -> None:
    small = lab.folder / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small)
    try:
        host = lab.host("small-board", home=small)
        trust(host.device(), offered(host.device()))
        with login(host.device()) as shell:
            shell.put(b"old", "~/file")
            with pytest.raises(DeviceError, match="^small-board: file cannot be written"):
                shell.put(bytes(4_000_000), "~/file")
            assert shell.get("~/file") == b"old"
            assert sorted(path.name for path in small.iterdir()) == [".ssh", "file"]
        host.stop()
    finally:
        run("umount", "-l", small)


def test_a_connection_that_is_lost_in_the_middle_is_an_error(lab: Bed) -> None:
    host = lab.host("shaky")
    trust(host.device(), offered(host.device()))
    with login(host.device()) as shell:
        threading.Thread(target=lambda: (time.sleep(0.3), host.stop())).start()
        with pytest.raises(DeviceError, match="^shaky: the connection was lost"):
            shell.run("sleep 60")
        with pytest.raises(DeviceError, match="^shaky: the connection was lost"):
            shell.run("true")
        with pytest.raises(DeviceError, match="^shaky: "):
            shell.put(b"x", "~/x")


def test_a_stream_talks_with_a_command(shell: Shell) -> None:
    stream = shell.open("cat; echo bye >&2; exit 4")
    stream.sendall(b"hello")
    assert stream.recv(100) == b"hello"
    stream.close()
    other = shell.open("echo bye >&2; exit 4")
    assert other.recv(100) == b""
    assert other.ending() == (4, "", "bye\n")
