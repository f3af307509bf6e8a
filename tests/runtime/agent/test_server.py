"""Agents: how they end, what they answer to strangers, and that they leave nothing."""

import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.local import LocalConnection, connect, find
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError, GraphError
from edgekit.runtime.agent.control import Channel, Failure
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import Done, Facts, FactsReply, Hold, Measure, Probe, Put, PutReply, Stop
from tests.runtime.bed import DOUBLE, X, Y, alive, eventually, marked, spec, written

MODEL = written(DOUBLE)
DEVICE = Device("bench")


@pytest.fixture
def idle() -> Iterator[LocalConnection]:
    """A connection to an agent without stages."""
    with connect(DEVICE) as made:
        yield made


@pytest.fixture
def agent(idle: LocalConnection) -> LocalConnection:
    """A connection whose agent holds one loaded stage."""
    idle.load(spec(idle.put(MODEL)))
    return idle


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Where an agent may stay; it is ended afterwards."""
    yield tmp_path
    if find(DEVICE, tmp_path):
        with connect(DEVICE, tmp_path) as last:
            last.stop()


def running() -> int:
    """How many processes this test has started that still run."""
    return len(marked())


def dial(folder: Path) -> socket.socket:
    """A bare connection to an agent."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(folder / "agent.sock"))
    sock.settimeout(10)
    return sock


def agent_pid(connection: LocalConnection) -> int:
    assert connection.process is not None
    return connection.process.pid


def test_an_agent_ends_with_its_connection(agent: LocalConnection) -> None:
    assert running() == 2
    agent.close()
    assert running() == 0
    assert not agent.folder.exists()


def test_an_agent_that_is_killed_takes_its_stages_along(agent: LocalConnection) -> None:
    os.kill(agent_pid(agent), signal.SIGKILL)
    eventually(lambda: running() == 0)
    with pytest.raises(DeviceError, match="^bench (closed its control connection|went away)"):
        agent.facts()
    agent.close()
    assert not agent.folder.exists()


def test_a_busy_measurement_ends_with_its_agent(idle: LocalConnection) -> None:
    digest = idle.put(MODEL)
    raised: list[EdgekitError] = []

    def measure() -> None:
        try:
            idle.measure(Measure(model=digest, inputs=(X,), outputs=(Y,), mode="segment", budget_s=600))
        except DeviceError as error:
            raised.append(error)

    thread = threading.Thread(target=measure)
    thread.start()
    eventually(lambda: running() == 2)
    os.kill(agent_pid(idle), signal.SIGKILL)
    thread.join(10)
    assert len(raised) == 1
    eventually(lambda: running() == 0)


def test_closing_a_connection_ends_what_it_waits_for(idle: LocalConnection) -> None:
    digest = idle.put(MODEL)
    raised: list[EdgekitError] = []

    def measure() -> None:
        try:
            idle.measure(Measure(model=digest, inputs=(X,), outputs=(Y,), mode="segment", budget_s=600))
        except DeviceError as error:
            raised.append(error)

    thread = threading.Thread(target=measure)
    thread.start()
    eventually(lambda: running() == 2)
    idle.close()
    thread.join(10)
    assert len(raised) == 1
    eventually(lambda: running() == 0)


def test_an_agent_ends_on_sigterm(agent: LocalConnection) -> None:
    os.kill(agent_pid(agent), signal.SIGTERM)
    eventually(lambda: running() == 0)
    eventually(lambda: not agent.folder.exists())


def test_an_interrupt_at_the_terminal_is_not_for_the_agent(idle: LocalConnection) -> None:
    os.kill(agent_pid(idle), signal.SIGINT)
    assert idle.facts().machine.cores >= 1


CONTROLLER = """
import sys, time
from devices.local import connect
from edgekit.device import Device
from tests.runtime.bed import DOUBLE, spec, written
connection = connect(Device("bench"))
connection.load(spec(connection.put(written(DOUBLE))))
print(connection.folder, flush=True)
time.sleep(60)
"""


def test_an_agent_ends_with_a_controller_that_is_killed(nothing_is_left: Path) -> None:
    env = environment() | {"TMPDIR": str(nothing_is_left)}
    controller = subprocess.Popen([sys.executable, "-c", CONTROLLER], stdout=subprocess.PIPE, env=env, text=True)
    assert controller.stdout is not None
    with controller, controller.stdout:
        folder = Path(controller.stdout.readline().strip())
        assert (folder / "agent.sock").is_socket()
        controller.kill()
    eventually(lambda: running() == 0)
    eventually(lambda: not folder.exists())


def test_an_agent_that_stays_is_found_again(home: Path) -> None:
    with connect(DEVICE, home) as first:
        digest = first.put(MODEL)
        first.load(spec(digest))
    assert running() == 2
    with connect(DEVICE, home) as second:
        assert [stage.state for stage in second.logs().stages] == ["loaded"]
        second.stop()
        assert not find(DEVICE, home)
        eventually(lambda: running() == 0)
    with connect(DEVICE, home) as third:
        assert third.logs().stages == ()
        third.load(spec(digest))  # what was put is still there


def test_an_agent_that_stays_is_nobodys_child(home: Path) -> None:
    with connect(DEVICE, home):
        assert [line for line in marked().values() if "--daemon" in line]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_many_stops_and_starts_in_a_row(home: Path) -> None:
    for _ in range(5):
        with connect(DEVICE, home) as connection:
            connection.stop()
    eventually(lambda: running() == 0)


def test_two_who_start_the_same_agent_share_it(home: Path) -> None:
    connections: list[LocalConnection] = []
    threads = [threading.Thread(target=lambda: connections.append(connect(DEVICE, home))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert running() == 1
    for connection in connections:
        assert connection.facts().machine.cores >= 1
        connection.close()


def test_two_connections_are_served_at_once(home: Path) -> None:
    with connect(DEVICE, home) as one, connect(DEVICE, home) as other:
        digest = one.put(MODEL)
        failed: list[BaseException] = []

        def use(connection: LocalConnection, plan: int) -> None:
            try:
                for _ in range(3):
                    connection.put(os.urandom(100_000))
                    connection.facts()
                    connection.logs()
                connection.load(spec(digest, stage=plan))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=use, args=(connection, plan)) for plan, connection in enumerate((one, other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert sorted(stage.stage for stage in one.logs().stages) == [0, 1]


def test_what_an_agent_keeps_is_its_owners_alone(home: Path) -> None:
    with connect(DEVICE, home) as connection:
        kept = connection.put(MODEL)
        folder = connection.folder
    for path in (folder / "agent.sock", folder / "store" / kept):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


STRANGERS = (
    b"GET / HTTP/1.1\r\n\r\n",
    struct.pack("!IQ", 14, 0) + b'{"type":"fly"}',
    struct.pack("!IQ", 3, 0) + b"\xff\xfe\xfd",
    struct.pack("!IQ", 0, 0),
    struct.pack("!IQ", 2**32 - 1, 2**64 - 1),
    struct.pack("!IQ", 16, 2**31) + b'{"type":"facts"}',
    b"half",
    b"",
)


def test_strangers_do_an_agent_no_harm(agent: LocalConnection) -> None:
    for sent in STRANGERS:
        with dial(agent.folder) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            answer = sock.recv(10_000)
            assert not answer or b"ProtocolError" in answer
    assert agent.facts().machine.cores >= 1
    assert agent.logs().stages[0].state == "loaded"


def test_an_unknown_verb_is_answered(idle: LocalConnection) -> None:
    with dial(idle.folder) as sock:
        sock.sendall(struct.pack("!IQ", 14, 0) + b'{"type":"fly"}')
        failure, _ = Channel(sock, "bench").receive(Failure)
    assert (failure.kind, "'fly'" in failure.text) == ("ProtocolError", True)


def test_a_put_with_another_digest_is_refused(idle: LocalConnection) -> None:
    with dial(idle.folder) as sock:
        channel = Channel(sock, "bench")
        digest = digest_of(b"weights")
        with pytest.raises(DeviceError, match="7 bytes came whose digest is not"):
            channel.ask(Put(digest, 7), PutReply, blob=b"damaged")
        assert channel.ask(Put(digest), PutReply) == (PutReply(False), b"")
        assert channel.ask(Put(digest, 7), PutReply, blob=b"weights") == (PutReply(True, 7), b"")


def test_a_connection_that_only_holds_is_answered_by_the_end(idle: LocalConnection) -> None:
    with dial(idle.folder) as sock:
        Channel(sock, "shaper").send(Hold("plan"))
        assert idle.facts().machine.cores >= 1
        idle.close()
        assert sock.recv(1) == b""


def test_of_two_who_claim_a_device_the_second_is_told_of_the_first(home: Path) -> None:
    bench = Device("bench")
    with connect(bench, home) as one, connect(bench, home) as other:
        one.claim("a deployment")
        one.claim("a survey")
        with pytest.raises(DeviceError, match=r"^bench: it is held by .+@.+ for a survey, since 20.*; wait until that is done$"):
            other.claim("a profile")
        assert other.facts().machine.cores >= 1
        one.close()
        eventually(lambda: not refused(other))
        other.stop()


def refused(connection: LocalConnection) -> bool:
    try:
        connection.claim("a profile")
    except DeviceError:
        return True
    return False


def test_a_damaged_model_is_told_to_the_controller(idle: LocalConnection) -> None:
    with pytest.raises(GraphError, match="^bench: stage 0@bench: onnxruntime .* refuses the model"):
        idle.load(spec(idle.put(MODEL[:-20])))
    assert idle.facts().machine.cores >= 1


def test_a_probe_of_an_echo_that_is_gone_fails(idle: LocalConnection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceError, match=f"bench: measurement: the echo cannot be reached at 127.0.0.1:{port}"):
        idle.probe(Probe(host="127.0.0.1", port=port, sizes=(1,)))


CRAMPED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
sys.argv = ["agent", "follow", sys.argv[1]]
from edgekit.runtime.agent.server import main
main()
"""


def test_a_full_disk_fails_a_put_and_nothing_else(tmp_path: Path) -> None:
    agent = subprocess.Popen([sys.executable, "-c", CRAMPED, str(tmp_path / "agent")], stdin=subprocess.PIPE, env=environment())
    assert agent.stdin is not None
    with agent, agent.stdin:
        eventually(lambda: (tmp_path / "agent" / "agent.sock").is_socket())
        time.sleep(0.05)
        with dial(tmp_path / "agent") as sock:
            channel = Channel(sock, "bench")
            large = bytes(100_000)
            with pytest.raises(DeviceError, match="100000 bytes cannot be stored in .*File too large.*free some space"):
                channel.ask(Put(digest_of(large), len(large)), PutReply, blob=large)
            assert not list((tmp_path / "agent" / "store").iterdir())
            assert channel.ask(Put(digest_of(b"small"), 5), PutReply, blob=b"small") == (PutReply(True, 5), b"")
            assert isinstance(channel.ask(Facts(), FactsReply)[0], FactsReply)
            assert channel.ask(Stop(), Done) == (Done(), b"")
        assert agent.wait(10) == 0
    assert not (tmp_path / "agent").exists()
    assert not alive(agent.pid)
