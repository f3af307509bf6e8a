"""Files under their digests: whole or not at all."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.runtime.agent.store import Store, digest_of


def test_what_is_put_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    digest = digest_of(b"weights")
    assert not store.holds(digest)
    store.put(digest, b"weights")
    store.put(digest, b"weights")
    assert store.holds(digest)
    assert store.path(digest).read_bytes() == b"weights"
    assert [path.name for path in store.folder.iterdir()] == [digest]


def test_other_bytes_than_those_of_the_digest_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(DeviceError, match="8 bytes came whose digest is not"):
        store.put(digest_of(b"weights"), b"damaged!")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "g" * 64, "A" * 64, f"{'0' * 63}/"])
def test_a_name_that_is_no_digest_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a SHA-256 digest"):
        Store(tmp_path).holds(name)


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.folder.rmdir()
    with pytest.raises(DeviceError, match="7 bytes cannot be stored in .*No such file or directory.*free some space"):
        store.put(digest_of(b"weights"), b"weights")


def test_what_a_killed_agent_left_half_written_is_removed(tmp_path: Path) -> None:
    digest = digest_of(b"weights")
    Store(tmp_path).put(digest, b"weights")
    (tmp_path / "abc.part").write_bytes(b"half")
    (tmp_path / "def.part").mkdir()
    (tmp_path / "def.part" / "optimized.onnx").write_bytes(b"half")
    for left in tmp_path.glob("*.part"):
        os.utime(left, (0, 0))
    (tmp_path / "new.part").write_bytes(b"half")
    assert Store(tmp_path).holds(digest)
    (tmp_path / "new.part").unlink()  # somebody may still be sending it
    assert [path.name for path in tmp_path.iterdir()] == [digest]


def test_several_may_put_the_same_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(20):
        data = bytes(100_000) + bytes([number])
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda data: store.put(digest_of(data), data), [data] * 4))
        assert store.path(digest_of(data)).read_bytes() == data
        assert len(list(tmp_path.iterdir())) == number + 1


def test_pieces_add_up_also_through_another_agent(tmp_path: Path) -> None:
    digest = digest_of(b"weights")
    Store(tmp_path).append(digest, 7, 0, b"wei")
    store = Store(tmp_path)
    assert (store.holds(digest), store.held_bytes(digest)) == (False, 3)
    store.append(digest, 7, 3, b"ghts")
    assert (store.holds(digest), store.held_bytes(digest)) == (True, 7)
    assert store.path(digest).read_bytes() == b"weights"


@pytest.mark.parametrize("offset", [0, 2, 4, 100])
def test_a_piece_that_does_not_follow_is_left_out(tmp_path: Path, offset: int) -> None:
    store = Store(tmp_path)
    digest = digest_of(b"weights")
    store.append(digest, 7, 0, b"wei")
    store.append(digest, 7, offset, b"ghts")
    assert (store.holds(digest), store.held_bytes(digest)) == (False, 3)


def test_a_piece_that_follows_nothing_leaves_nothing(tmp_path: Path) -> None:
    Store(tmp_path).append(digest_of(b"weights"), 7, 3, b"ghts")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("left", "kept"), [(b"weights", True), (b"damaged", False)])
def test_what_was_all_there_when_the_agent_was_killed_is_finished(tmp_path: Path, left: bytes, kept: bool) -> None:
    store = Store(tmp_path)
    digest = digest_of(b"weights")
    store.path(digest).with_name(f"{digest}.part").write_bytes(left)
    with nullcontext() if kept else pytest.raises(DeviceError, match="send them again"):
        store.append(digest, 7, store.held_bytes(digest), b"")
    assert [path.name for path in tmp_path.iterdir()] == ([digest] if kept else [])


def test_a_file_larger_than_the_disk_is_refused_at_its_first_piece(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = digest_of(b"weights")
    with pytest.raises(DeviceError, match=f"has .* bytes free, and {2**60} are to come; free some space"):
        store.append(digest, 2**60, 0, b"wei")
    assert store.held_bytes(digest) == 0
