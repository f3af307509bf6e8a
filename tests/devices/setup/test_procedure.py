"""Set-up on real machines of the bed: from its own index and without any, half-done, hindered, and taken back."""

import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement

from devices import connect
from devices.login import login, offered, trust
from devices.setup.agent_file import agent_file
from devices.setup.paths import AGENT, FOLDER, ROOT, UNIT, VENV
from devices.setup.procedure import Outcome, plan, remove, setup
from devices.setup.requirements import choose
from devices.setup.shell_facts import machine_of
from devices.setup.wheels import Platform, fetch
from edgekit.machine import Machine
from tests.runtime.bed import eventually
from tests.sshbed import Bed, Host, System, bed

STEPS = ["system", "home", "disk", "venv", "packages", "agent", "service", "answer"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        patch.setenv("XDG_CACHE_HOME", cache)  # wheels are fetched once for all runs
        yield made


def fresh(lab: Bed, name: str, **how: object) -> Host:
    """A machine that is known and has nothing of ours."""
    host = lab.host(name, **how)  # type: ignore[arg-type]
    trust(host.device(), offered(host.device()))
    return host


@pytest.fixture(scope="module")
def ready(lab: Bed) -> Host:
    """A machine that was set up."""
    host = fresh(lab, "ready")
    assert "failed" not in states(set_up(host)).values()
    return host


def set_up(host: Host, offline: bool = True, tell: Callable[[str], None] = lambda text: None, **other: object) -> list[Outcome]:
    """As the command does; ``other`` are facts that differ from what the probe found."""
    with login(host.device()) as shell:
        return setup(shell, msgspec.structs.replace(machine_of(shell), **other), offline=offline, tell=tell)


def states(outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {outcome.step: outcome.state for outcome in outcomes}


def changed(outcomes: Sequence[Outcome]) -> list[str]:
    """The steps that changed something, where none failed."""
    assert list(states(outcomes)) == STEPS, outcomes[-1].text
    assert all(outcome.state in ("ok", "changed") or outcome.step == "service" for outcome in outcomes)
    return [outcome.step for outcome in outcomes if outcome.state not in ("ok", "warning")]


def failure(outcomes: Sequence[Outcome]) -> str:
    """What the last step says that failed."""
    assert outcomes[-1].state == "failed"
    return f"{outcomes[-1].step}: {outcomes[-1].text}"


def files(host: Host) -> dict[str, object]:
    """Every file and folder of the home, with what is in it."""
    return {str(path.relative_to(host.home)): path.read_bytes() if path.is_file() else None for path in host.home.rglob("*")}


def on(host: Host, command: str) -> str:
    """Run something there as root."""
    with login(host.device()) as shell:
        return shell.run(command).out


@pytest.fixture(scope="module")
def index(lab: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """pip's configuration for a package index (PEP 503) that the machines of the bed can reach."""
    folder = tmp_path_factory.mktemp("index")
    model = fresh(lab, "model")
    with login(model.device()) as shell:
        machine = machine_of(shell)
    major, minor = map(int, (machine.python or "").split(".")[:2])
    libc = tuple(map(int, (machine.libc or "").split()[1].split(".")))
    for wheel in fetch(choose(machine, (major, minor))[0].packages, Platform(machine.architecture, (libc[0], libc[1]), (major, minor))):
        project = folder / "simple" / wheel.path.name.split("-")[0].lower().replace("_", "-")
        project.mkdir(parents=True)
        (project / wheel.path.name).symlink_to(wheel.path)
        (project / "index.html").write_text(f'<a href="{wheel.path.name}#sha256={wheel.digest}">{wheel.path.name}</a>')
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    address = f"{model.ip.rpartition('.')[0]}.1"  # this machine, on the bridge
    with http.server.ThreadingHTTPServer((address, 0), functools.partial(quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"[global]\nindex-url = http://{address}:{server.server_address[1]}/simple\ntrusted-host = {address}\n"
        server.shutdown()


def test_a_fresh_machine_is_ready_after_one_command_and_as_before_after_another(lab: Bed, index: str) -> None:
    host = fresh(lab, "pi")
    (host.home / ".config" / "pip").mkdir(parents=True)
    (host.home / ".config" / "pip" / "pip.conf").write_text(index)
    before = files(host)
    with login(host.device()) as shell:
        assert [outcome.step for outcome in plan(shell, machine_of(shell)) if outcome.state == "missing"] == STEPS[3:]
    assert files(host) == before

    assert changed(set_up(host, offline=False)) == ["venv", "packages", "agent", "service"]
    assert changed(set_up(host, offline=False)) == []
    assert installed(host) == needed(host, "numpy", "onnxruntime", "msgspec")
    with connect(host.device()) as connection:
        assert connection.facts().engines[0].version == installed(host)["onnxruntime"]

    with login(host.device()) as shell:
        remove(shell)
        remove(shell)
    assert files(host) == before
    assert host.processes() == []


def test_monitors_find_the_agent_where_set_up_says(ready: Host) -> None:
    with login(ready.device()) as shell:
        outcomes = setup(shell, machine_of(shell), pages="0.0.0.0:9471")
    assert changed(outcomes) == ["service"]
    assert "metrics at 0.0.0.0:9471" in outcomes[-2].text
    with urllib.request.urlopen(f"http://{ready.ip}:9471/livez", timeout=10) as answer:
        assert answer.read() == b"alive\n"
    assert changed(set_up(ready)) == [], "it is remembered"
    with connect(ready.device()) as connection:
        assert connection.clock() > 0


def test_what_links_over_grpc_need_is_brought_and_remembered(lab: Bed) -> None:
    host = fresh(lab, "wide")
    assert "failed" not in states(set_up(host)).values()
    with login(host.device()) as shell:
        assert changed(setup(shell, machine_of(shell), offline=True, transports=("grpc",))) == ["packages"]
    assert changed(set_up(host)) == [], "it is remembered"
    with connect(host.device()) as connection:
        assert "grpc" in connection.facts().transports


def inspected(host: Host) -> list[dict[str, object]]:
    """What pip finds in the machine's venv."""
    command = [sys.executable, "-m", "pip", "--python", str(host.home / VENV / "bin" / "python"), "inspect"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [each["metadata"] for each in json.loads(done.stdout)["installed"]]


def installed(host: Host) -> dict[str, object]:
    return {str(each["name"]): each["version"] for each in inspected(host)}


def needed(host: Host, *names: str) -> dict[str, object]:
    """The packages of these names, and what they declare that they need."""
    there = {str(each["name"]): each for each in inspected(host)}
    found: dict[str, object] = {}
    ahead = list(names)
    while ahead:
        each = there[ahead.pop()]
        found[str(each["name"])] = each["version"]
        declared = [Requirement(text) for text in each.get("requires_dist", [])]  # type: ignore[attr-defined]
        ahead += [one.name for one in declared if one.name not in found and (one.marker is None or one.marker.evaluate({"extra": ""}))]
    return found


def test_without_internet_wheels_are_brought_and_go_on_where_the_cable_was_pulled(lab: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    host = fresh(lab, "far", rate="200mbit")
    assert "packages: far: it reaches no package index" in failure(set_up(host, offline=False))
    assert failure(set_up(host, offline=False)).endswith("setup --offline")

    monkeypatch.setattr("devices.login.SILENCE_MS", 1500)
    said: list[str] = []

    def pull(text: str) -> None:
        said.append(text)
        if text.startswith("sending onnxruntime"):
            host.cut()

    try:
        assert "packages: far: " in failure(set_up(host, tell=pull))
    finally:
        host.mend()
    sent = [text for text in said if text.startswith("sending")]
    assert len(sent) >= 3
    said.clear()
    assert changed(set_up(host, tell=said.append)) == ["packages", "agent", "service"]
    assert not set(sent[:-1]) & set(said)
    assert sorted(path.name for path in (host.home / ROOT).iterdir() if path.is_dir()) == ["agent", "store", "venv"]
    assert changed(set_up(host)) == []


@pytest.mark.xfail(strict=True, reason="csh cannot keep a quoted argument of several lines, and no message says that csh is the hindrance")
def test_a_login_shell_csh_is_named_or_no_hindrance(lab: Bed) -> None:
    csh = shutil.which("tcsh")
    if csh is None:
        pytest.skip("needs tool tcsh")
    host = fresh(lab, "board", system=System(shell=csh))
    with login(host.device()) as shell:
        outcome = plan(shell, machine_of(shell))[0]
    assert outcome.step == "system"
    assert outcome.state == "ok" or "csh" in outcome.text


@pytest.mark.xfail(strict=True, reason="where sshd allows few sessions at once, a connection is said to be lost")
def test_an_sshd_that_allows_few_sessions_is_named_or_no_hindrance(lab: Bed) -> None:
    outcome = set_up(fresh(lab, "few", system=System(config="MaxSessions 2\n")))[-1]
    assert outcome.state != "failed" or "MaxSessions" in outcome.text


@pytest.mark.xfail(strict=True, reason="pip on a device follows the user's pip.conf, also where that cannot be in a venv")
@pytest.mark.parametrize("offline", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_what_pip_is_told_by_its_user_is_no_hindrance(lab: Bed, index: str, offline: bool) -> None:
    host = fresh(lab, f"told-{offline}")
    conf = host.home / ".config" / "pip" / "pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"{index}[install]\nuser = true\n")
    assert "failed" not in states(set_up(host, offline)).values()


def test_of_two_set_ups_at_once_one_waits_and_finds_all_done(lab: Bed) -> None:
    host = fresh(lab, "both")
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: changed(set_up(host, tell=said.append)), range(2)))
    assert sorted(both) == [[], ["venv", "packages", "agent", "service"]]
    assert "waiting until another set-up there is done" in said


def kill_agent(host: Host) -> None:
    os.kill(int((host.home / FOLDER / "agent.pid").read_text()), signal.SIGKILL)


def cut_agent_short(host: Host) -> None:
    (host.home / AGENT).write_bytes(agent_file().data[:1000])


def lose_python(host: Host) -> None:
    (host.home / VENV / "bin" / "python3").unlink()
    (host.home / VENV / "bin" / "python3").symlink_to("/usr/bin/python3.0")


def lose_half_a_package(host: Host) -> None:
    (host.home / VENV / "edgekit.json").unlink()
    for path in (host.home / VENV).glob("lib/*/site-packages/numpy/[a-m]*.py"):
        path.unlink()


def add_a_package(host: Host) -> None:
    (next((host.home / VENV).glob("lib/*/site-packages")) / "requests-2.0.dist-info").mkdir()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (kill_agent, ["service"]),
        (cut_agent_short, ["agent", "service"]),
        (lose_python, ["venv", "packages"]),
        (lose_half_a_package, ["packages"]),
        (add_a_package, ["packages"]),
    ],
)
def test_what_is_half_there_is_put_right_and_nothing_else(ready: Host, damage: Callable[[Host], None], expected: list[str]) -> None:
    damage(ready)
    assert changed(set_up(ready)) == expected
    assert changed(set_up(ready)) == []
    assert installed(ready) == needed(ready, "numpy", "onnxruntime", "msgspec")


def test_an_agent_of_another_edgekit_is_replaced_also_while_it_runs(ready: Host) -> None:
    here = agent_file()
    older = bytearray(here.data)
    at = older.index(b'__version__ = "')
    older[at + 15 : at + 16] = b"9"
    on(ready, f"kill $(cat {FOLDER}/agent.pid)")
    (ready.home / AGENT).write_bytes(older)
    on(ready, f"while test -e {FOLDER}/agent.sock; do sleep 0.05; done; {VENV}/bin/python {AGENT} serve --daemon")
    assert changed(set_up(ready)) == ["agent", "service"]
    assert (ready.home / AGENT).read_bytes() == here.data


def test_a_read_only_home_is_said_and_nothing_is_tried(lab: Bed) -> None:
    host = fresh(lab, "stiff")
    before = files(host)
    on(host, 'mount -o remount,ro,bind "$HOME"')
    assert "home: stiff: its home /mnt cannot be written to; is its disk mounted read-only" in failure(set_up(host))
    assert files(host) == before


def test_a_full_disk_is_said_before_or_when_it_happens_and_is_left_empty(lab: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    host = fresh(lab, "small")
    on(host, f'mkdir -p "$HOME/{ROOT}" && mount -t tmpfs -o size=100m none "$HOME/{ROOT}"')
    assert "disk: small: its disk has 105 MB free, and 400 MB are needed; free some space" in failure(set_up(host))
    monkeypatch.setattr("devices.setup.steps.INSTALLED_BYTES", 0)
    assert "packages: small: its disk became full while packages were installed; free some space" in failure(set_up(host))
    assert int(on(host, f'du -sm "$HOME/{ROOT}"').split()[0]) <= 1
    on(host, f'umount "$HOME/{ROOT}"')
    assert changed(set_up(host)) == ["venv", "packages", "agent", "service"]


def test_without_a_python_that_fits_nothing_is_tried(lab: Bed, tmp_path: Path) -> None:
    script = tmp_path / "python3"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    host = fresh(lab, "old", binds=[(script, os.path.realpath("/usr/bin/python3"))])
    before = files(host)
    machine = Machine("aarch64", 4, family="raspberry-pi", libc="glibc 2.31", python="3.9.2")  # as the probe finds with that Python
    with login(host.device()) as shell:
        said = failure(setup(shell, machine))
    assert said.startswith("system: old: its Python is 3.9.2, and edgekit needs 3.10 or newer; install Raspberry Pi OS 12 or newer")
    assert files(host) == before


def test_a_32_bit_system_is_refused_before_anything_else(ready: Host) -> None:
    said = failure(set_up(ready, bits=32, architecture="aarch64", family="raspberry-pi"))
    assert said.startswith("system: ready: its programs are 32-bit on a 64-bit kernel") and "64-bit Raspberry Pi OS" in said


def test_a_clock_in_1970_is_named_where_the_index_cannot_be_used_and_no_hindrance_to_wheels(lab: Bed) -> None:
    host = fresh(lab, "dawn")
    said = failure(set_up(host, offline=False, clock_offset_s=-1.7e9))
    assert "packages: dawn: its clock is 19676 days behind" in said and said.endswith("setup --offline")
    assert changed(set_up(host, clock_offset_s=-1.7e9)) == ["packages", "agent", "service"]


LOGINCTL = """#!/bin/sh
case "$*" in
    *enable-linger) {enable};;
    *disable-linger) rm /var/lib/systemd/linger/root;;
    *) exit 1;;
esac
"""
BOOT = """set -e
mount -t tmpfs none /run/systemd
mount -t tmpfs none /run/user
mount -t tmpfs none /var/lib/systemd
mkdir -p /run/systemd/system /run/user/0 /var/lib/systemd/linger
chmod 700 /run/user/0
mount -t cgroup2 none /sys/fs/cgroup
mkdir "{cgroup}"
echo $$ > "{cgroup}/cgroup.procs"
cd /
export XDG_RUNTIME_DIR=/run/user/0
setsid /lib/systemd/systemd --user < /dev/null > /dev/null 2>&1 &
for n in $(seq 100); do systemctl --user show-environment > /dev/null 2>&1 && exit 0; sleep 0.1; done
exit 1
"""
HALT = """echo 1 > "{cgroup}/cgroup.kill"
while test -s "{cgroup}/cgroup.events" && grep -q 'populated 1' "{cgroup}/cgroup.events"; do sleep 0.05; done
for n in $(seq 100); do find "{cgroup}" -depth -type d -exec rmdir {{}} + 2> /dev/null && exit 0; sleep 0.1; done
exit 1
"""


@contextmanager
def booted(lab: Bed, name: str, folder: Path, may_linger: bool = True) -> Iterator[Host]:
    """A machine with a systemd for its user; logind, which would be asked whether that may linger, is a script."""
    if not Path("/lib/systemd/systemd").exists():
        pytest.skip("needs tool systemd")
    script = folder / "loginctl"
    script.write_text(LOGINCTL.format(enable="touch /var/lib/systemd/linger/root" if may_linger else "exit 1"))
    script.chmod(0o755)
    host = fresh(lab, name, binds=[(script, "/usr/bin/loginctl")])
    above = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "/")
    cgroup = f"/sys/fs/cgroup{above.rstrip('/')}/edgekit-{os.getpid()}-{name}"
    with login(host.device()) as shell:
        if shell.run(BOOT.format(cgroup=cgroup), check=False).code:
            pytest.skip("needs hardware where a systemd of one's own can run in a cgroup of one's own")
        try:
            yield host
        finally:
            shell.run(HALT.format(cgroup=cgroup))


def systemctl(host: Host, words: str) -> str:
    return on(host, f"XDG_RUNTIME_DIR=/run/user/0 systemctl --user {words}").strip()


def test_systemd_keeps_the_agent_where_it_may_and_forgets_it_afterwards(lab: Bed, tmp_path: Path) -> None:
    with booted(lab, "server", tmp_path) as host:
        before = files(host)
        outcomes = set_up(host)
        assert changed(outcomes) == ["venv", "packages", "agent", "service"]
        assert outcomes[-2].text.startswith("systemd keeps the agent running and starts it after a boot; metrics at 127.0.0.1:")
        assert changed(set_up(host)) == []
        show = "show --property=ActiveState,SubState,UnitFileState,StatusErrno edgekit-agent"
        assert {"ActiveState=active", "SubState=running", "UnitFileState=enabled"} <= set(systemctl(host, show).split())

        kill_agent(host)
        eventually(lambda: systemctl(host, "show --property=NRestarts --value edgekit-agent") == "1", 20)
        eventually(lambda: systemctl(host, "is-active edgekit-agent || true") == "active", 20)
        assert changed(set_up(host)) == []

        (host.home / UNIT).write_text("[Service]\nExecStart=/bin/false\n")
        assert changed(set_up(host)) == ["service"]

        with login(host.device()) as shell:
            remove(shell)
        assert files(host) == before
        assert systemctl(host, "list-units --all --plain --no-legend 'edgekit*'") == ""
        assert on(host, "ls /var/lib/systemd/linger") == ""
        assert not [line for line in host.processes() if "agent.pyz" in line]


def test_where_systemd_would_end_it_with_the_login_the_agent_is_kept_without(lab: Bed, tmp_path: Path) -> None:
    with booted(lab, "shared", tmp_path, may_linger=False) as host:
        outcomes = set_up(host)
        assert changed(outcomes) == ["venv", "packages", "agent", "service"]
        assert "to change that: sudo loginctl enable-linger root, then set up again" in outcomes[-2].text
        assert states(set_up(host))["service"] == "warning"
        assert not (host.home / UNIT).exists()
        assert changed(set_up(host)) == []
        on(host, "touch /var/lib/systemd/linger/root")  # by an administrator, who is asked for it
        assert changed(set_up(host)) == ["service"]
        assert systemctl(host, "is-active edgekit-agent") == "active"
        with login(host.device()) as shell:
            remove(shell)
        assert on(host, "ls /var/lib/systemd/linger") == "root\n"
