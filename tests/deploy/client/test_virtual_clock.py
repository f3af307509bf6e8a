"""Jobs on a clock: lanes in order, resources one at a time, what waits for what."""

from edgekit.deploy.client.virtual_clock import Clock, Job


def run(clock: Clock) -> None:
    while clock.advance():
        pass


def test_a_job_begins_when_those_before_it_are_done() -> None:
    clock = Clock()
    first = clock.add(Job("a", resources=("cpu",), takes_s=2.0, holds_s=2.0))
    other = clock.add(Job("b", resources=("net",), takes_s=3.0, holds_s=3.0))
    joined = clock.add(Job("c", resources=("cpu",), takes_s=1.0, holds_s=1.0), [first, other])
    run(clock)
    assert [job.span for job in (first, other, joined)] == [(0.0, 2.0), (0.0, 3.0), (3.0, 4.0)]


def test_a_resource_holds_one_job_at_a_time_and_the_first_that_was_ready_goes_first() -> None:
    clock = Clock()
    early = clock.add(Job("a", resources=("cpu",), takes_s=4.0, holds_s=4.0))
    late = clock.add(Job("b", resources=("cpu",), takes_s=1.0, holds_s=1.0), earliest_s=2.0)
    later = clock.add(Job("c", resources=("cpu",), takes_s=1.0, holds_s=1.0), earliest_s=3.0)
    run(clock)
    assert [job.span for job in (early, late, later)] == [(0.0, 4.0), (4.0, 5.0), (5.0, 6.0)]


def test_a_link_is_free_before_its_message_has_arrived() -> None:
    clock = Clock()
    messages = [clock.add(Job("link", resources=("link",), takes_s=10.0, holds_s=1.0)) for _ in range(3)]
    run(clock)
    assert [job.span for job in messages] == [(0.0, 10.0), (1.0, 11.0), (2.0, 12.0)]


def test_a_lane_keeps_its_order_also_where_a_later_job_is_ready_first() -> None:
    clock = Clock()
    slow = clock.add(Job("replica 0", resources=("a",), takes_s=5.0, holds_s=5.0))
    quick = clock.add(Job("replica 1", resources=("b",), takes_s=1.0, holds_s=1.0))
    first = clock.add(Job("join", resources=("c",), takes_s=1.0, holds_s=1.0), [slow])
    second = clock.add(Job("join", resources=("c",), takes_s=1.0, holds_s=1.0), [quick])
    run(clock)
    assert [job.span for job in (first, second)] == [(5.0, 6.0), (6.0, 7.0)]


def test_a_job_that_needs_two_resources_waits_for_both_and_leaves_the_free_one_to_others() -> None:
    clock = Clock()
    clock.add(Job("a", resources=("air",), takes_s=3.0, holds_s=3.0))
    both = clock.add(Job("b", resources=("link", "air"), takes_s=1.0, holds_s=1.0))
    other = clock.add(Job("c", resources=("link",), takes_s=1.0, holds_s=1.0))
    run(clock)
    assert [job.span for job in (both, other)] == [(3.0, 4.0), (0.0, 1.0)]


def test_a_device_that_is_visited_twice_is_never_idle_while_a_frame_waits() -> None:
    clock = Clock()
    last = None
    for _ in range(50):  # 5 s before and 3 s after 4 s elsewhere
        before = clock.add(Job(0, resources=("twice",), takes_s=5.0, holds_s=5.0))
        between = clock.add(Job(1, resources=("once",), takes_s=4.0, holds_s=4.0), [before])
        last = clock.add(Job(2, resources=("twice",), takes_s=3.0, holds_s=3.0), [between])
    run(clock)
    assert last is not None
    assert 400.0 <= last.span[1] <= 409.0
