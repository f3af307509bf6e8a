"""Probes and the echo that answers them."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest

from edgekit.errors import DeviceError
from edgekit.runtime.links import greeting, link_probe
from edgekit.runtime.links.greeting import Door, Hello, dial, welcome
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.link_probe import ENOUGH, Echo, probe
from edgekit.runtime.verbs import Probe


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo("127.0.0.1")
    yield made
    made.close()


def asked(echo: Echo, *sizes: int, samples: int = 8, budget_s: float = 0.4, pull: bool = False) -> Probe:
    host, port = echo.address
    return Probe(host=host, port=port, sizes=sizes, samples=samples, budget_s=budget_s, pull=pull)


@pytest.mark.parametrize("pull", [False, True])
def test_every_size_has_its_round_trips(echo: Echo, pull: bool) -> None:
    probed = probe(asked(echo, 0, 1, 100_000, budget_s=60, pull=pull))
    assert [len(trips) for trips in probed.round_trips_s] == [8, 8, 8]
    assert all(seconds > 0 for trips in probed.round_trips_s for seconds in trips)
    assert len(probed.send_cpu_s) == len(probed.receive_cpu_s) == 3
    assert all(seconds >= 0 for seconds in (*probed.send_cpu_s, *probed.receive_cpu_s))


@pytest.mark.parametrize(("samples", "taken"), [(100_000, ENOUGH), (3, 3)])
def test_a_size_whose_time_is_spent_is_done_after_a_few(echo: Echo, samples: int, taken: int) -> None:
    probed = probe(asked(echo, 1000, samples=samples, budget_s=0.0))
    assert [len(trips) for trips in probed.round_trips_s] == [taken]


def test_an_echo_answers_one_probe_after_the_other(echo: Echo) -> None:
    for _ in range(3):
        assert len(probe(asked(echo, 10)).round_trips_s[0]) == 8


@pytest.mark.parametrize("pull", [False, True])
def test_with_several_frames_in_flight_the_times_between_answers_are_told(echo: Echo, pull: bool) -> None:
    request = msgspec.structs.replace(asked(echo, 10, 500_000, samples=40, budget_s=60, pull=pull), window=3)
    probed = probe(request)
    assert [len(trips) for trips in probed.round_trips_s] == [40, 40]
    assert all(seconds >= 0 for trips in probed.round_trips_s for seconds in trips)


def test_sizes_after_one_that_took_long_are_left_out(echo: Echo) -> None:
    assert len(probe(msgspec.structs.replace(asked(echo, 1, 10, 100), enough_s=0.0)).round_trips_s) == 1
    assert len(probe(msgspec.structs.replace(asked(echo, 1, 10, 100), enough_s=60.0)).round_trips_s) == 3


def test_probes_are_answered_side_by_side(echo: Echo) -> None:
    def try_once() -> None:
        done.append(len(probe(asked(echo, 10, 1000, samples=50)).round_trips_s))

    done: list[int] = []
    threads = [threading.Thread(target=try_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert done == [2, 2, 2, 2]


def garbage(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: edge\r\nAccept: */*\r\n\r\n")


def silent(address: tuple[str, int]) -> None:
    socket.create_connection(address).close()


def caller(*plans: str) -> Callable[[tuple[str, int]], None]:
    """A caller whose connections greet for these plans and then leave."""

    def call(address: tuple[str, int]) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(DeviceError):
            for index, plan in enumerate(plans):
                stack.enter_context(
                    dial(
                        Door(*address),
                        Hello(plan=plan, source="client", source_replica=0, receiver=0, receiver_replica=0, gives=index == 0),
                        "the echo",
                    )[0]
                )

    return call


STRANGERS = {
    "garbage": garbage,
    "one that says nothing": silent,
    "one that asks for less than nothing": caller("probe-1/1/a"),
    "one that asks for all the memory": caller(f"probe{2**62}/1/a"),
    "one that looks for a stage": caller("plan"),
    "one that leaves after half a greeting": caller("probe5/1/a"),
    "one that changes its mind": caller("probe5/1/a", "probe6/1/a"),
    "one that sends no frame": caller("probe5/1/a", "probe5/1/a"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_an_echo_survives(echo: Echo, stranger: str) -> None:
    STRANGERS[stranger](echo.address)
    assert probe(asked(echo, 10)).round_trips_s


def test_an_echo_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceError, match="the echo cannot be reached"):
        probe(Probe(host="127.0.0.1", port=port, sizes=(1,)))


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_an_echo_that_goes_away_fails_the_probe(answers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "HANDSHAKE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            held = []
            for _ in range(answers):
                sock, _ = listener.accept()
                held.append(sock)
                greeting.accept(sock)
                welcome(sock, Standing(0, 2))
            if answers < 2:
                held.append(listener.accept()[0])
            for sock in held:
                sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DeviceError, match="the echo"):
            probe(Probe(host="127.0.0.1", port=listener.getsockname()[1], sizes=(1,)))
        thread.join()


def test_an_echo_that_hangs_fails_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_probe, "PATIENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            socks = []
            for _ in range(2):
                sock, _ = listener.accept()
                greeting.accept(sock)
                welcome(sock, Standing(0, 2))
                socks.append(sock)
            while socks[0].recv(1000):
                pass
            for sock in socks:
                sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DeviceError, match="nothing came"):
            probe(Probe(host="127.0.0.1", port=listener.getsockname()[1], sizes=(1,)))
        thread.join()
