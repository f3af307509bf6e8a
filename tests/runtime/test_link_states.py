"""The numbering of a link in every order of events: whatever is cut and when, each message arrives once, in its place.

give ─▶ held ─next─▶ ▒▒▒ in flight ▒▒▒ ─▶ arrived ─free─▶ room for another
                     ▒▒▒ standings ▒▒▒ ◀─ told
cut: all that is in flight either way is lost; resume: the receiver says how far it is
"""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgekit.errors import ProtocolError
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.link import Item, Receiving, Sending, Standing

MOST_GIVEN = 40


class Link(RuleBasedStateMachine):
    """Both ends, and what is under way between them."""

    @initialize(room=st.integers(1, 5))
    def begin(self, room: int) -> None:
        self.room = room
        self.sending, self.receiving = Sending(), Receiving(room)
        self.flying: deque[tuple[int, Item]] = deque()
        self.news: deque[Standing] = deque()
        self.given, self.arrived, self.released = 0, [], []
        self.used = 0
        self.connected = False
        self.resume()

    @precondition(lambda self: self.given < MOST_GIVEN)
    @rule()
    def give(self) -> None:
        self.sending.give(Item(Kind.DATA, 1, self.given))
        self.given += 1

    @precondition(lambda self: self.connected)
    @rule()
    def send(self) -> None:
        if (found := self.sending.next()) is not None:
            self.flying.append(found)

    @precondition(lambda self: self.connected and self.flying)
    @rule()
    def arrive(self) -> None:
        number, item = self.flying.popleft()
        self.receiving.expect(number)
        self.receiving.take()
        self.arrived.append(item.frame)
        self.used += 1

    @precondition(lambda self: self.used)
    @rule()
    def free(self) -> None:
        self.used -= 1
        self.receiving.free()

    @precondition(lambda self: self.connected)
    @rule()
    def tell(self) -> None:
        self.news.append(self.receiving.standing)

    @precondition(lambda self: self.connected and self.news)
    @rule()
    def hear(self) -> None:
        self.released += [item.frame for item in self.sending.acknowledge(self.news.popleft())]

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        self.connected = False
        self.flying.clear()
        self.news.clear()

    @precondition(lambda self: not self.connected)
    @rule()
    def resume(self) -> None:
        self.connected = True
        self.released += [item.frame for item in self.sending.resume(self.receiving.standing)]

    @invariant()
    def each_has_arrived_once_and_in_its_place(self) -> None:
        assert self.arrived == list(range(len(self.arrived)))
        assert self.released == self.arrived[: len(self.released)]

    @invariant()
    def there_is_room_for_what_is_under_way(self) -> None:
        assert self.used + len(self.flying) <= self.room

    def teardown(self) -> None:
        """Left alone, everything arrives and nothing is held."""
        if not self.connected:
            self.resume()
        for _ in range(4 * MOST_GIVEN):
            while self.used:
                self.free()
            self.tell()
            while self.news:
                self.hear()
            self.send()
            while self.flying:
                self.arrive()
        assert self.arrived == self.released == list(range(self.given))


TestLink = Link.TestCase
TestLink.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(-2, 9), st.integers(-2, 9))
def test_what_was_never_sent_cannot_have_come(sent: int, before: int, come: int, room: int) -> None:
    link = Sending()
    for frame in range(6):
        link.give(Item(Kind.DATA, 1, frame))
    link.acknowledge(Standing(0, sent))
    while link.next() is not None:
        pass
    link.acknowledge(Standing(min(before, sent), sent))
    there = Standing(come, room)
    if min(before, sent) <= come <= sent and room >= sent:
        assert [item.frame for item in link.acknowledge(there)] == list(range(min(before, sent), come))
        return
    with pytest.raises(ProtocolError, match="the link is damaged"):
        link.acknowledge(there)
    assert link.next() is None  # and nothing has changed


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9))
def test_what_is_not_due_or_has_no_room_is_refused(come: int, free: int, number: int) -> None:
    link = Receiving(room=come + free)
    for due in range(1, come + 1):
        link.expect(due)
        link.take()
    if number == come + 1 and free:
        link.expect(number)
        return
    with pytest.raises(ProtocolError, match=f"message {number} came, expected {come + 1} at most {come + free}"):
        link.expect(number)
