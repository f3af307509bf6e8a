"""Pages for monitors: who asks properly is answered, whoever else comes is hung up on and disturbs nobody."""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator

import pytest

from edgekit.errors import UsageError
from edgekit.runtime.agent import pages
from edgekit.runtime.agent.pages import MOST, Page, Pages, address_from
from tests.runtime.bed import eventually


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    monkeypatch.setattr(pages, "WHOLE_S", 1.0)
    monkeypatch.setattr(pages._Asked, "timeout", 0.5)
    made = Pages("127.0.0.1", 0, {"/a": lambda: Page("A\n"), "/b": lambda: Page("no\n", 503), "/broken": lambda: Page(1)})  # type: ignore[arg-type]
    yield made
    made.close()


def got(served: Pages, path: str, method: str = "GET") -> tuple[int, str]:
    """Code and text of a page."""
    connection = http.client.HTTPConnection(*address_from(served.address), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def dialled(served: Pages) -> socket.socket:
    return socket.create_connection(address_from(served.address), timeout=10)


def test_a_page_is_read(served: Pages) -> None:
    assert got(served, "/a") == got(served, "/a?x=1") == (200, "A\n")
    assert got(served, "/b") == (503, "no\n")
    assert got(served, "/c") == (404, "there are /a, /b, /broken\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "BREW"])
def test_pages_are_only_read(served: Pages, method: str) -> None:
    assert got(served, "/a", method)[0] == 501


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01\x00", b"GET", b"GET /a HTTP/1.1\r\nX: " + b"x" * 100_000, bytes(10_000)])
def test_whoever_does_not_ask_properly_is_hung_up_on(served: Pages, said: bytes) -> None:
    with dialled(served) as sock, contextlib.suppress(OSError):
        sock.sendall(said)
        while sock.recv(4096):
            pass
    assert got(served, "/a") == (200, "A\n")


def test_whoever_asks_slowly_is_hung_up_on(served: Pages) -> None:
    with dialled(served) as sock, contextlib.suppress(OSError):
        for _ in range(100):  # each byte comes before the time for it is over
            sock.sendall(b"G")
            time.sleep(0.1)
        pytest.fail("it was listened to for 10 s")
    assert got(served, "/a") == (200, "A\n")


def test_a_crowd_is_not_let_in_and_the_next_one_is_answered(served: Pages) -> None:
    crowd = [dialled(served) for _ in range(4 * MOST)]
    with contextlib.suppress(OSError):
        for sock in crowd[MOST:]:
            assert sock.recv(1) == b"", "it was let in"
    for sock in crowd:
        sock.close()
    eventually(lambda: _answers(served))


def _answers(served: Pages) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return got(served, "/a") == (200, "A\n")
    return False


def test_a_page_that_cannot_be_made_is_not_the_end(served: Pages) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        got(served, "/broken")
    assert got(served, "/a") == (200, "A\n")


def test_where_its_port_is_taken_another_one_is_used(served: Pages) -> None:
    host, port = address_from(served.address)
    other = Pages(host, port, {"/a": lambda: Page("other\n")})
    try:
        assert other.address != served.address and got(other, "/a") == (200, "other\n")
    finally:
        other.close()


def test_an_address_is_a_host_and_a_port() -> None:
    assert address_from(":9464") == ("0.0.0.0", 9464)
    for wrong in ("9464", "here:", "here:x", "here:70000", "here:²"):
        with pytest.raises(UsageError, match="expected an address such as"):
            address_from(wrong)
