"""How fast stages and links go, out of two looks."""

from edgekit.deploy.observe.rates import LinkRate, StageRate, rates
from edgekit.runtime.stage.status_records import LinkStatus, StageStatus


def look(frames: int, now_s: float, busy_s: float, sent: int = 0, got: int = 0, queue: int = 0, pid: int = 7) -> StageStatus:
    """A stage that gets from the client and sends to two replicas, as much to each."""
    links = (
        LinkStatus(peer="client", replica=0, sends=False, linked=True, nbytes={"raw": got}, queue=queue),
        *(LinkStatus(peer=1, replica=replica, sends=True, linked=True, nbytes={"raw": sent, "u8": sent}, credits=2) for replica in (0, 1)),
    )
    return StageStatus(
        name="stage 0@pi",
        plan="plan",
        stage=0,
        replica=0,
        pid=pid,
        state="serving",
        frames=frames,
        failed=0,
        peak_bytes=1,
        now_s=now_s,
        busy_s=busy_s,
        links=links,
    )


def test_rates_are_those_between_two_looks_by_the_devices_own_clock() -> None:
    (rate,) = rates([look(100, 1000.0, 50.0, 10, 5)], [look(150, 1002.0, 51.5, 1010, 105, queue=3)])
    assert rate == StageRate(0, 0, 25.0, 0.75, 3, (LinkRate("client", 0, 50.0), LinkRate(0, 1, 2000.0)))


def test_nothing_is_known_after_one_look_or_when_the_stage_was_loaded_again() -> None:
    unknown = StageRate(0, 0, queue=1)
    assert rates([], [look(1, 1.0, 0.1, queue=1)]) == (unknown,)
    assert rates([look(90, 50.0, 9.0, pid=6)], [look(2, 51.0, 0.1, queue=1)]) == (unknown,)


def test_a_stage_that_says_nothing_has_no_rates() -> None:
    silent = StageStatus(
        name="stage 0@pi",
        plan="plan",
        stage=0,
        replica=0,
        pid=7,
        state="silent: it has not answered for 5 s",
        frames=0,
        failed=0,
        peak_bytes=0,
    )
    assert rates([look(1, 1.0, 0.1)], [silent]) == (StageRate(0, 0),)


def test_a_stage_is_not_busier_than_all_the_time() -> None:
    assert rates([look(0, 1.0, 0.0)], [look(1, 2.0, 1.2)])[0].busy == 1.0
    assert rates([look(0, 1.0, 1.0)], [look(1, 2.0, 0.9)])[0].busy == 0.0
