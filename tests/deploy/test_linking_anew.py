"""How long a client waits for what it has lost: longer for a stage that starts again than for a machine that says nothing."""

import time

import pytest

from edgekit.deploy.client import client
from edgekit.deploy.client.client import Client
from edgekit.deploy.client.client_links import Ends, Target
from edgekit.errors import DeviceError
from edgekit.runtime.links.greeting import Door, Hello, Refused
from edgekit.runtime.links.link_end import LEAST_S, REDIAL_S
from edgekit.runtime.verbs import Port
from tests.runtime.bed import X, Y

LONG_S = 1e6
SILENT = (
    DeviceError("stage 1 does not answer at 10.0.0.1:5 (timed out); is its machine on, and on this network?"),
    DeviceError("stage 1 at 10.0.0.1:5 did not answer the greeting (timed out); is it running?"),
    Refused("stage 0 refused the link: stage 0@a is lost: lost stage 1: nothing was heard for 3 s; see edgekit status"),
    Refused("stage 0 refused the link: stage 0@a is lost: stage 1 does not answer at 10.0.0.1:5 (timed out); is its machine on"),
)
STARTING = Refused("stage 1 cannot be reached at 10.0.0.1:5 (Connection refused); is it running, and is the port open?")


class Mending:
    """Is asked once whether the plan is being mended, and says yes: a client goes on then as after any other loss."""

    def __init__(self) -> None:
        self.asked = 0

    def newest(self) -> Target:
        return target()

    def mending(self) -> bool:
        self.asked += 1
        return self.asked == 1


def target(load_s: float = LONG_S) -> Target:
    """A plan of one stage at an address that nobody has."""
    ports = (Port(end=0, replicas=1, tensors=(Y,)),), (Port(end=0, replicas=1, tensors=(X,)),)
    addresses = {(0, 0, "client", 0): ("10.0.0.1", 5), ("client", 0, 0, 0): ("10.0.0.1", 5)}
    return Target("release", ports, addresses, load_s=load_s)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", SILENT, ids=["no way", "no greeting", "behind another", "not dialled by another"])
def test_a_machine_that_says_nothing_is_not_waited_for_as_long_as_a_model_loads(
    error: DeviceError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(self: Ends, until_s: float, over: object = None) -> None:
        raise error

    monkeypatch.setattr(Ends, "link", link)
    monkeypatch.setattr(client, "ABSENT_S", 0.1)
    with pytest.raises(DeviceError):
        Client(target(), Mending())


def test_a_stage_that_starts_again_is_waited_for_while_its_model_loads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = iter([STARTING] * 4)

    def link(self: Ends, until_s: float, over: object = None) -> None:
        if (error := next(tries, None)) is not None:
            raise error

    monkeypatch.setattr(Ends, "link", link)
    monkeypatch.setattr(client, "ABSENT_S", 0.0)
    monkeypatch.setattr(client, "RECOVERY_S", 0.0)
    Client(target(), Mending()).close()
    assert next(tries, None) is None


def test_no_dial_but_the_first_gets_more_time_than_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def dial(door: Door, hello: Hello, who: str, within_s: float) -> None:
        given.append(within_s)
        raise SILENT[0]

    monkeypatch.setattr("edgekit.runtime.links.link_end.dial", dial)
    with pytest.raises(DeviceError):
        Ends(target()).link(time.monotonic() + REDIAL_S / 4)
    first, *others = given
    assert first == REDIAL_S
    assert LEAST_S <= others[-1] <= others[0] <= REDIAL_S / 4
