"""Links that go on over another connection: whatever is done to the first one, each message comes once, in order and intact."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from devices.authority import Authority
from devices.chaos import Chaos, Faults
from edgekit.graph import Tensor
from edgekit.runtime.links.carrier import Gate
from edgekit.runtime.links.frames import Kind, Layout
from edgekit.runtime.links.greeting import Door, Hello
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.link_end import RESUME_S, LinkEnd
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.links.tls import Guard, named
from edgekit.runtime.links.transport import receive
from tests.runtime.bed import eventually

HELLO = Hello(plan="plan", source=0, source_replica=0, receiver=1, receiver_replica=0)
SIZES = {"small": Layout((Tensor("x", (300,), "uint8"),)), "large": Layout((Tensor("x", (200_000,), "uint8"),))}


HOUSE = Authority.fresh("house")
GUARDS = {"plain": (None, None), "TLS": (Guard(HOUSE.issue("there")), Guard(HOUSE.issue("here")))}


@contextmanager
def listening(end: LinkEnd, guard: Guard | None = None) -> Iterator[tuple[str, int]]:
    """Let callers of one link in, as a stage does."""
    reception = receive("socket", Gate(("127.0.0.1", 0), guard, end.answer))
    yield reception.address
    reception.close()


@contextmanager
def joined(
    layout: Layout, faults: Faults, seed: int, receiver_dials: bool = False, way: str = "plain"
) -> Iterator[tuple[Outlet, Inlet, Chaos]]:
    outlet, inlet = Outlet(layout, "there"), Inlet(layout, "here")
    listener, caller = (outlet, inlet) if receiver_dials else (inlet, outlet)
    there, here = GUARDS[way]
    with listening(listener, there) as address, Chaos(*address, Faults(), seed=seed) as chaos:
        caller.call(Door(*chaos.address, named("house", "there"), here), HELLO, "the other end")
        chaos.faults = faults
        yield outlet, inlet, chaos
        chaos.faults = Faults()
        outlet.abort()
        inlet.close()


def push(outlet: Outlet, count: int) -> None:
    for frame in range(count):
        slot = outlet.acquire()
        slot.views["x"][...] = frame % 251
        outlet.give(1, frame, slot)
    outlet.end(1)


def check(inlet: Inlet, count: int) -> None:
    """Each frame comes once, in order and intact; then the end of the stream."""
    for frame in range(count):
        item = inlet.head(20)
        assert (item.kind, item.frame) == (Kind.DATA, frame), item
        assert item.slot is not None and (item.slot.views["x"] == frame % 251).all()
        inlet.drop()
    assert inlet.head(20).kind is Kind.END


FAULTS = {
    "resets": Faults(reset=0.05),
    "half chunks": Faults(half=0.05),
    "bits that flip": Faults(flip=0.05),
    "stalls": Faults(stall=0.05, stall_s=0.1),
    "small pieces": Faults(slice=0.2),
    "all at once": Faults(reset=0.01, half=0.01, flip=0.01, stall=0.01, slice=0.02, stall_s=0.05, jitter_s=0.001),
}


@pytest.mark.parametrize(("receiver_dials", "way"), [(False, "plain"), (True, "TLS")])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", FAULTS)
def test_each_message_comes_once_in_order_and_intact(kind: str, size: str, receiver_dials: bool, way: str) -> None:
    count = 6000 if size == "small" else 60
    with joined(SIZES[size], FAULTS[kind], 7, receiver_dials, way) as (outlet, inlet, chaos):
        sender = threading.Thread(target=push, args=(outlet, count))
        sender.start()
        check(inlet, count)
        sender.join()
    assert sum(chaos.counts.values()) > chaos.counts["connections"]  # something was done to it


def test_a_connection_that_goes_dark_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.links.heartbeat.DEAD_S", 0.3)
    monkeypatch.setattr("edgekit.runtime.links.heartbeat.BEAT_S", 0.1)
    monkeypatch.setattr("edgekit.runtime.links.link_end.REDIAL_S", 0.3)
    for dark in ("dark", "dark_back"):  # one way is enough
        with joined(SIZES["small"], Faults(), 1) as (outlet, inlet, chaos):
            eventually(lambda outlet=outlet: outlet.connected)
            getattr(chaos, dark).set()
            sender = threading.Thread(target=push, args=(outlet, 2000))
            sender.start()
            eventually(lambda outlet=outlet: not outlet.connected)
            getattr(chaos, dark).clear()
            check(inlet, 2000)
            sender.join()
            assert chaos.counts["connections"] > 1


def test_a_link_that_the_other_end_has_forgotten_is_lost_at_once() -> None:
    outlet, inlet = Outlet(SIZES["small"], "there"), Inlet(SIZES["small"], "here")
    with listening(inlet) as address, Chaos(*address, Faults()) as chaos:
        outlet.call(Door(*chaos.address), HELLO, "the other end")
        eventually(lambda: inlet.connected)
        inlet.token = "of another process"
        begin = time.monotonic()
        chaos.cut()
        eventually(lambda: outlet.broken)
        assert time.monotonic() - begin < RESUME_S / 2
        outlet.abort()
        inlet.close()
