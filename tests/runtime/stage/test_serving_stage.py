"""Stage processes that serve frames, fail, are killed and left."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.deploy.client.client import Client
from edgekit.deploy.client.client_links import Target
from edgekit.deploy.client.sink import Result
from edgekit.errors import DeviceError, StageError
from edgekit.graph import Tensor
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.agent.supervisor import Supervisor
from edgekit.runtime.engine.executor import run_once
from edgekit.runtime.links.frames import Header, Kind, Layout
from edgekit.runtime.links.greeting import Door, Hello, dial
from edgekit.runtime.verbs import Endpoint, Load, Loaded, Logs, LogsReply, Port, Put, Run, StageSpec, StageStatus
from tests.runtime.bed import DOUBLE, LOOKUP, X, Y, eventually, framed, spec, written

INDEX = Tensor("i", (1,), "int64")
FOUND = Tensor("y", (1,), "float32")
PING = Hello(plan="plan", source="client", source_replica=0, receiver=0, receiver_replica=0)


class Bench:
    """Stages in processes of their own, one after the other."""

    def __init__(self, folder: Path):
        self.supervisor = Supervisor(folder)
        self.specs: list[StageSpec] = []
        self.addresses: dict[tuple[object, int, object, int], tuple[str, int]] = {}

    def load(self, text: str, wanted: StageSpec, golden: bytes = b"") -> bytes:
        """Load a stage; what it answers to the golden inputs."""
        model = written(text)
        wanted = msgspec.structs.replace(wanted, model=digest_of(model))
        self.supervisor.answer(Put(wanted.model), model)
        there, outputs = self.supervisor.answer(Load(wanted), golden)
        assert isinstance(there, Loaded)
        self.specs.append(wanted)
        self.addresses |= {(port.end, 0, wanted.stage, 0): (there.host, there.port) for port in wanted.sources}
        self.addresses |= {(wanted.stage, 0, p.end, 0): (there.host, there.port) for p in wanted.receivers if p.end == "client"}
        return outputs

    def reload(self, stage: int) -> None:
        """Load a stage again, at the address that it had, and let it serve as soon as those that follow are ready."""
        host, port = self.addresses[self.specs[stage].sources[0].end, 0, stage, 0]
        self.supervisor.answer(Load(msgspec.structs.replace(self.specs[stage], listen=host, port=port)), b"")
        eventually(lambda: self._started(stage))

    def _started(self, stage: int) -> bool:
        with contextlib.suppress(DeviceError):  # those that follow may still have to notice
            self.run(stage)
            return True
        return False

    def run(self, stage: int = 0) -> None:
        """Let one stage serve."""
        ends = (p.end for p in self.specs[stage].receivers if p.end != "client")
        there = ((end, *self.addresses[stage, 0, end, 0]) for end in ends)
        receivers = tuple(Endpoint(end=end, replica=0, host=host, port=port) for end, host, port in there)
        self.supervisor.answer(Run(plan="plan", stage=stage, replica=0, receivers=receivers), b"")

    def doubling(self, count: int) -> "Bench":
        """A chain of stages each of which doubles its input: t0 → t1 → t2 …"""
        tensors = [Tensor(f"t{index}", (4,), "float32") for index in range(count + 1)]
        for stage in range(count):
            text = f"net (float[4] t{stage}) => (float[4] t{stage + 1}) {{ t{stage + 1} = Add(t{stage}, t{stage}) }}"
            self.load(text, spec("-", (tensors[stage],), (tensors[stage + 1],), stage, count - 1))
        for stage in reversed(range(count)):
            self.run(stage)
        return self

    def lookup(self) -> "Bench":
        """One stage that fails where its index is out of range."""
        self.load(LOOKUP, spec("-", (INDEX,), (FOUND,)))
        self.run()
        return self

    def client(self) -> Client:
        """A client of the first and the last stage."""
        sources = tuple(Port(end=s.stage, replicas=1, tensors=p.tensors) for s in self.specs for p in s.receivers if p.end == "client")
        receivers = tuple(Port(end=s.stage, replicas=1, tensors=p.tensors) for s in self.specs for p in s.sources if p.end == "client")
        return Client(Target("plan", (sources, receivers), self.addresses))  # type: ignore[arg-type]

    def greet(self, hello: Hello) -> socket.socket:
        """A connection that speaks no more than the protocol."""
        return dial(Door(*self.addresses[hello.source, hello.source_replica, hello.receiver, hello.receiver_replica]), hello, "the stage")[
            0
        ]

    def status(self, stage: int = 0, spans: int = 0) -> StageStatus:
        reply, _ = self.supervisor.answer(Logs(spans), b"")
        assert isinstance(reply, LogsReply)
        return reply.stages[stage]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.supervisor.stop(None)


def frame(value: float, name: str = "t0") -> dict[str, np.ndarray]:
    return {name: np.full(4, value, np.float32)}


def values(results: list[Result]) -> list[float | str]:
    """The value of each result's elements, or where its error stems from."""
    return [r.error.stage if r.error else float(next(iter(r.value().values())).flat[0]) for r in results]


def test_a_frame_that_a_stage_cannot_compute_fails_alone(bench: Bench) -> None:
    bench.lookup()
    with bench.client() as client:
        results = list(client.stream({"i": np.array([i])} for i in (0, 3, 9, 1, -7, 2)))
    at = "stage 0@bench"
    #                          index 0    3     9   1     -7  2
    assert values(results) == [10.0, 13.0, at, 11.0, at, 12.0]
    with pytest.raises(StageError, match=r"^frame 2 failed: stage 0@bench: .*idx=9"):
        results[2].value()
    status = bench.status(spans=10)
    assert (status.state, status.frames, status.failed) == ("serving", 4, 2)
    assert [span[0] for span in status.spans] == [0, 1, 3, 5]


def test_a_frame_that_failed_early_fails_at_the_end_of_the_chain(bench: Bench) -> None:
    bench.load(LOOKUP, spec("-", (INDEX,), (FOUND,), 0, 1))
    bench.load("net (float[1] y) => (float[1] z) { z = Add(y, y) }", spec("-", (FOUND,), (Tensor("z", (1,), "float32"),), 1, 1))
    bench.run(1)
    bench.run(0)
    with bench.client() as client:
        assert values(list(client.stream({"i": np.array([i])} for i in (0, 9, 1)))) == [20.0, "stage 0@bench", 22.0]


def test_clients_come_and_go(bench: Bench) -> None:
    bench.doubling(2)
    for _ in range(3):
        with bench.client() as client:
            for count in (0, 1, 40):
                assert values(list(client.stream(frame(i) for i in range(count)))) == [4.0 * i for i in range(count)]
    assert [bench.status(stage).state for stage in range(2)] == ["serving", "serving"]


def test_a_client_that_leaves_in_the_middle_makes_room_for_the_next(bench: Bench) -> None:
    bench.doubling(2)
    for _ in range(3):
        with bench.client() as client:
            results = client.stream(frame(i) for i in range(1000))
            assert outcomes(results, 3) == [0.0, 4.0, 8.0]
            results.close()
    with bench.client() as client:
        assert values(list(client.stream(frame(i + 0.5) for i in range(3)))) == [2.0, 6.0, 10.0]


def outcomes(results: Iterator[Result], count: int) -> list[float | str]:
    return values([next(results) for _ in range(count)])


def test_a_client_that_vanishes_within_a_frame_makes_room_for_the_next(bench: Bench) -> None:
    bench.doubling(1)
    layout = Layout((Tensor("t0", (4,), "float32"),))
    for epoch in range(1, 6):
        with bench.greet(msgspec.structs.replace(PING, link=str(epoch))) as sock:
            header = Header(Kind.DATA, epoch, 1, 0, len(layout.table), layout.nbytes)
            sock.sendall(framed(header, layout.table, layout.pack(frame(1))) + b"\xed\x6e\x00\x01\x01")
    with bench.client() as client:
        assert values(list(client.stream(frame(i) for i in range(3)))) == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("killed", [0, 1, 2])
def test_a_stage_that_is_killed_comes_back_where_it_was_and_no_frame_is_lost(bench: Bench, killed: int) -> None:
    bench.doubling(3)
    with bench.client() as client:
        results = client.stream(frame(i) for i in range(300))
        assert outcomes(results, 3) == [0.0, 8.0, 16.0]
        os.kill(bench.status(killed).pid, signal.SIGKILL)
        assert values(list(results)) == [8.0 * number for number in range(3, 300)]
    assert [bench.status(stage).state for stage in range(3)] == ["serving"] * 3


def test_a_stage_that_ends_too_often_stays_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.agent.supervisor.STORM", (2, 60.0))
    bench.doubling(1)
    for _ in range(2):
        eventually(lambda: bench.status().state == "serving")
        os.kill(bench.status().pid, signal.SIGKILL)
        eventually(lambda: bench.status().state != "serving")
    eventually(lambda: bench.status().state.startswith("lost: its process ended (killed; the usual cause is memory"))
    assert ", 2 times within 60 s" in bench.status().state
    bench.reload(0)
    eventually(lambda: bench.status().state == "serving")


def test_a_second_client_waits_and_is_then_refused(bench: Bench) -> None:
    bench.doubling(1)
    refusal = "refused the link: stage 0@bench already serves client; wait until that stream has ended"
    with bench.client(), pytest.raises(DeviceError, match=refusal):
        bench.greet(PING)
    bench.greet(PING).close()


UNWELCOME = (
    (msgspec.structs.replace(PING, plan="another"), "this is stage 0@bench of plan plan, not what the caller looks for"),
    (msgspec.structs.replace(PING, source=7), "stage 0@bench has no link with stage 7"),
    (msgspec.structs.replace(PING, source_replica=1), "stage 0@bench has no link with client"),
    (msgspec.structs.replace(PING, receiver_replica=1), "not what the caller looks for"),
    (msgspec.structs.replace(PING, gives=False), "not what the caller looks for"),
)


def test_a_caller_with_no_business_here_is_told_so(bench: Bench) -> None:
    bench.doubling(1)
    for hello, why in UNWELCOME:
        with pytest.raises(DeviceError, match=why):
            dial(Door(*bench.addresses["client", 0, 0, 0]), hello, "the stage")


def test_strangers_on_the_port_do_no_harm(bench: Bench) -> None:
    bench.doubling(1)
    address = bench.addresses["client", 0, 0, 0]
    with socket.create_connection(address) as silent, socket.create_connection(address) as garbage:
        garbage.sendall(b"GET / HTTP/1.1\r\nHost: edge\r\nAccept: */*\r\n\r\n")
        silent.sendall(b"\xed")
        with bench.client() as client:
            assert values(list(client.stream(frame(i) for i in range(3)))) == [0.0, 2.0, 4.0]
    with bench.greet(PING) as damaged:
        damaged.sendall(b"\xed\x6e\x00\x01\x01\x04" + bytes(34) + bytes(1000))
    with bench.client() as client:
        assert values(list(client.stream(frame(i) for i in range(3)))) == [0.0, 2.0, 4.0]


def test_a_stage_answers_golden_inputs(bench: Bench) -> None:
    golden = {"x": np.array([1, 2, 3, 4], np.float32)}
    answer = bench.load(DOUBLE, spec("-"), Layout((X,)).pack(golden))
    np.testing.assert_array_equal(Layout((Y,)).unpack(answer)["y"], run_once(written(DOUBLE), golden)["y"])


def test_golden_inputs_that_do_not_fit_are_refused(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="expected 64 bytes of tensors, got 5"):
        bench.load(DOUBLE, spec("-"), b"short")


def test_what_a_stage_does_not_make_is_relayed(bench: Bench) -> None:
    bench.load(DOUBLE, msgspec.structs.replace(spec("-"), receivers=(Port(end="client", replicas=1, tensors=(X, Y)),)))
    bench.run()
    with bench.client() as client:
        (result,) = client.stream([frame(3, "x")])
    assert {name: float(value[0]) for name, value in result.value().items()} == {"x": 3.0, "y": 6.0}


def test_a_tensor_that_a_stage_does_not_have_is_a_loss_and_no_hang(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", 0.3)
    bench.load(
        DOUBLE, msgspec.structs.replace(spec("-"), receivers=(Port(end="client", replicas=1, tensors=(Tensor("z", (4,), "float32"),)),))
    )
    bench.run()
    with bench.client() as client, pytest.raises(StageError, match="stage 0@bench: lost: KeyError: 'z'"):
        list(client.stream([frame(3, "x")]))


def test_a_stage_serves_once(bench: Bench) -> None:
    bench.doubling(1)
    with pytest.raises(DeviceError, match="stage 0@bench is serving already"):
        bench.run()


def test_a_receiver_that_is_not_there_is_named(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    bench.load(DOUBLE, spec("-", last=1))
    with pytest.raises(DeviceError, match=f"stage 0@bench: stage 1 cannot be reached at 127.0.0.1:{port}"):
        bench.supervisor.answer(
            Run(plan="plan", stage=0, replica=0, receivers=(Endpoint(end=1, replica=0, host="127.0.0.1", port=port),)), b""
        )


def test_thousands_of_frames_leave_a_stage_as_large_as_a_few(bench: Bench) -> None:
    bench.doubling(1)
    with bench.client() as client:
        for _ in client.stream(frame(i) for i in range(500)):
            pass
        before = resident_bytes(bench.status().pid)
        for result in client.stream((frame(i) for i in range(3000)), window=64):
            assert result.error is None
        grown = resident_bytes(bench.status().pid) - before
    assert grown < 4_000_000
    assert bench.status().frames == 3500


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_no_thread_of_a_client_outlives_it(bench: Bench) -> None:
    bench.doubling(1)
    with bench.client() as client:
        left = client.stream(frame(i) for i in range(1000))
        assert outcomes(left, 1) == [0.0]
    # the stream is neither read to its end nor closed; that no thread is left is checked after each test
    with pytest.raises((StageError, DeviceError)):
        list(left)


def test_status_is_told_while_frames_pass(bench: Bench) -> None:
    bench.doubling(1)
    with bench.client() as client:
        for result in client.stream(frame(i) for i in range(60)):
            status = bench.status(spans=5)
            assert status.frames >= result.frame
            assert len(status.spans) == min(status.frames, 5)
            assert len(status.transfers[0].samples_s) <= 5
    eventually(lambda: bench.status().frames == 60)
