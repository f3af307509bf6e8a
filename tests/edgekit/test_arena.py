"""An arena holds every tensor while it lives, and is no smaller than what lives at once."""

from hypothesis import given
from hypothesis import strategies as st

from edgekit.graph.arena import Lifetime, lifetimes, live_bytes, packed_bytes
from tests.models import Net, serial, skipping

LIVES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6), st.integers(0, 4)), max_size=9).map(
    lambda drawn: [Lifetime(f"t{i}", nbytes, first, first + steps) for i, (nbytes, first, steps) in enumerate(drawn)]
)


@given(LIVES)
def test_an_arena_lies_between_what_lives_at_once_and_the_sum(tensors: list[Lifetime]) -> None:
    assert live_bytes(tensors) <= packed_bytes(tensors, alignment=1) <= sum(tensor.nbytes for tensor in tensors)
    assert packed_bytes(tensors) % 64 == 0


def test_gaps_are_filled() -> None:
    #   step   0  1  2        a and b never meet, so b takes the place of a; c lies above both
    #   a      8  .  .
    #   b      .  .  6
    #   c      4  4  4
    assert packed_bytes([Lifetime("a", 8, 0, 0), Lifetime("b", 6, 2, 2), Lifetime("c", 4, 0, 2)], alignment=1) == 12


def test_a_tensor_that_only_passes_over_a_segment_does_not_count() -> None:
    net: Net = skipping()
    for start in range(len(net.graph.units)):
        segment = net.graph.segment(start, start + 1)
        ends = {tensor.name for tensor in (*segment.inputs, *segment.outputs)}
        assert ends <= {tensor.name for tensor in lifetimes(net.graph, start, start + 1)}
        assert live_bytes(lifetimes(net.graph, start, start + 1)) <= net.graph.peak_bytes(start, start + 1)


def test_inputs_live_until_they_are_read_and_outputs_until_the_end() -> None:
    graph = serial(3).graph
    found = {tensor.name: (tensor.first, tensor.last) for tensor in lifetimes(graph, 0, 3)}
    assert found[graph.inputs[0]] == (0, 0)
    assert found[graph.outputs[0]][1] == max(last for _, last in found.values())
    assert lifetimes(graph, 1, 1) == ()
