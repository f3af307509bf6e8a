"""Files under their digests: whole or not at all."""

import os
import threading
from pathlib import Path

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.runtime.store import Store, digest_of


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


def test_two_may_put_the_same_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    data = bytes(1_000_000)
    digest = digest_of(data)
    failed = []

    def put() -> None:
        try:
            store.put(digest, data)
        except DeviceError as error:
            failed.append(error)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert store.path(digest).read_bytes() == data
    assert len(list(tmp_path.iterdir())) == 1


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


def test_a_file_larger_than_the_disk_is_refused_at_its_first_piece(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = digest_of(b"weights")
    with pytest.raises(DeviceError, match=f"has .* bytes free, and {2**60} are to come; free some space"):
        store.append(digest, 2**60, 0, b"wei")
    assert store.held_bytes(digest) == 0
