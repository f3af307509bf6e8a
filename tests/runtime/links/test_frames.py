"""Frames survive the way there and back, and nothing but a frame is taken for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edgekit.errors import ProtocolError
from edgekit.graph import ITEMSIZE, Tensor
from edgekit.runtime.links.frames import ALIGNMENT, HEADER_BYTES, MAX_NOTE_BYTES, Header, Kind, Layout, decode_header, encode_header

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)

DATA = st.builds(Header, st.just(Kind.DATA), U32, U64, U64, U32, U64)
NOTES = st.builds(
    Header, st.sampled_from([kind for kind in Kind if kind is not Kind.DATA]), U32, U64, U64, st.just(0), st.integers(0, MAX_NOTE_BYTES)
)
HEADERS = DATA | NOTES


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Tensor, ...]:
    """Tensors of every type that travels, scalars and empty ones included."""
    names = draw(st.lists(st.text(min_size=1, max_size=8), max_size=5, unique=True))
    shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
    return tuple(Tensor(name, draw(shapes), draw(st.sampled_from(sorted(ITEMSIZE)))) for name in names)


def values(tensors: tuple[Tensor, ...], seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {t.name: (random.standard_normal(t.shape) * 50).astype(t.dtype) for t in tensors}


@given(HEADERS)
def test_a_header_survives_the_way(header: Header) -> None:
    assert decode_header(encode_header(header)) == header


@given(HEADERS, st.dictionaries(st.integers(0, HEADER_BYTES - 1), st.integers(0, 255), max_size=6))
def test_a_damaged_header_is_refused_or_another_header(header: Header, damage: dict[int, int]) -> None:
    data = bytearray(encode_header(header))
    for position, byte in damage.items():
        data[position] = byte
    try:
        read = decode_header(data)
    except ProtocolError:
        return
    assert read.kind is Kind.DATA or (read.table_bytes == 0 and read.payload_bytes <= MAX_NOTE_BYTES)


@given(st.binary(max_size=2 * HEADER_BYTES))
def test_bytes_of_something_else_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_header(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({0: b"GET "}, "expected an edgekit frame, got 47455420"),
        ({4: b"\x09"}, "frame version 9, this side 2"),
        ({5: b"\x63"}, "frame kind 99 is unknown"),
    ],
)
def test_a_refusal_says_what_came(damage: dict[int, bytes], message: str) -> None:
    data = bytearray(encode_header(Header(Kind.END)))
    for position, replacement in damage.items():
        data[position : position + len(replacement)] = replacement
    with pytest.raises(ProtocolError, match=message):
        decode_header(data)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.DATA])
@pytest.mark.parametrize(("table_bytes", "payload_bytes"), [(0, MAX_NOTE_BYTES + 1), (0, 2**63), (1, 0)])
def test_a_note_that_announces_too_much_is_refused(kind: Kind, table_bytes: int, payload_bytes: int) -> None:
    with pytest.raises(ProtocolError, match="at most"):
        decode_header(encode_header(Header(kind, table_bytes=table_bytes, payload_bytes=payload_bytes)))


@given(layouts(), st.integers(0, 2**32))
def test_tensors_survive_the_way(tensors: tuple[Tensor, ...], seed: int) -> None:
    sent = values(tensors, seed)
    layout = Layout(tensors)
    packed = layout.pack(sent)
    assert len(packed) == layout.nbytes
    got = layout.unpack(packed)
    assert list(got) == [tensor.name for tensor in tensors]
    for tensor in tensors:
        assert (got[tensor.name].shape, got[tensor.name].dtype) == (tensor.shape, np.dtype(tensor.dtype))
        np.testing.assert_array_equal(got[tensor.name], sent[tensor.name])


@given(layouts())
def test_every_tensor_lies_where_kernels_want_it(tensors: tuple[Tensor, ...]) -> None:
    layout = Layout(tensors)
    for name, view in layout.views(layout.allocate()).items():
        assert layout.offsets[name] % ALIGNMENT == 0
        if view.size:
            assert view.ctypes.data % ALIGNMENT == 0


@given(layouts(), layouts())
def test_tables_are_equal_only_where_the_tensors_are(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    assert (Layout(one).table == Layout(other).table) == (one == other)


@given(layouts(), U32, U64)
def test_a_header_that_announces_other_lengths_is_refused(tensors: tuple[Tensor, ...], table_bytes: int, payload_bytes: int) -> None:
    layout = Layout(tensors)
    honest = Header(Kind.DATA, table_bytes=len(layout.table), payload_bytes=layout.nbytes)
    layout.check(honest)
    lie = replace(honest, table_bytes=table_bytes, payload_bytes=payload_bytes)
    if lie != honest:
        with pytest.raises(ProtocolError, match="different plans"):
            layout.check(lie)


@pytest.mark.parametrize("count", [0, 63, 65, 128])
def test_tensors_of_another_length_are_refused(count: int) -> None:
    with pytest.raises(ProtocolError, match=f"expected 64 bytes of tensors, got {count}"):
        Layout((Tensor("x", (16,), "float32"),)).unpack(bytes(count))
