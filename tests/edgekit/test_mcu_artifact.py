"""The artifact of a microcontroller's segment goes into a file and comes back; what is damaged is refused."""

import struct

import pytest
from msgspec.structs import replace

from edgekit.errors import FormatError
from edgekit.mcu_artifact import McuArtifact, McuEnd, McuOperator, decode, encode


def table(operators: int = 1, size: int = 28) -> bytes:
    """The head of a table with one input and one output, in an arena of 99 bytes."""
    return struct.pack("<4sHHIIHHHHI", b"EKT1", 1, operators, size, 99, 0, 1, 1, 0, 0).ljust(size, b"\0")


def artifact() -> McuArtifact:
    image = McuEnd("image", (1, 3, 4, 5), "float32", (0, 2, 3, 1), scale=0.5, zero=-3)
    return McuArtifact(table(), b"blob", (image,), (McuEnd("scores", (1, 2), "int8", (0, 1)),), (McuOperator("/conv", "conv"),))


def test_an_artifact_comes_back_as_it_was() -> None:
    assert decode(encode(artifact())) == artifact()


def test_an_artifact_tells_its_sizes() -> None:
    assert (artifact().arena_bytes, artifact().abi, artifact().inputs[0].nbytes) == (99, 1, 60)


def test_a_table_of_other_ends_or_operators_is_refused() -> None:
    with pytest.raises(FormatError, match="a table of"):
        McuArtifact(table(operators=2), b"", artifact().inputs, artifact().outputs, artifact().operators)
    with pytest.raises(FormatError, match="a table of"):
        McuArtifact(table()[:-1], b"", artifact().inputs, artifact().outputs, artifact().operators)


def test_an_artifact_that_was_cut_off_is_refused() -> None:
    data = encode(artifact())
    for cut in range(len(data)):
        with pytest.raises(FormatError):
            decode(data[:cut])


def test_another_version_says_what_to_do() -> None:

    with pytest.raises(FormatError, match="expected an artifact of version 1, got 2; install"):
        decode(encode(replace(artifact(), version=2)))
