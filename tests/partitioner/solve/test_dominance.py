import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from partitioner.solve.dominance import front


def by_definition(points):
    """Rows that no other row beats (nowhere larger, somewhere smaller) and that no earlier row equals."""
    rows = [tuple(row) for row in points.tolist()]

    def beats(j, i):
        return (all(a <= b for a, b in zip(rows[j], rows[i], strict=True)) and rows[j] != rows[i]) or (rows[j] == rows[i] and j < i)

    return [i for i in range(len(rows)) if not any(beats(j, i) for j in range(len(rows)))]


# few distinct values, so that ties, duplicates and constant columns abound
POINTS = st.tuples(st.integers(0, 40), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([-np.inf, 0.0, 0.5, 1.0, 2.0, 3.0, 1e300]))
)


@given(POINTS)
def test_the_front_is_what_the_definition_says(points):
    assert front(points).tolist() == by_definition(points)


def test_a_front_longer_than_one_block_is_screened_against_what_stayed():
    dice = np.random.default_rng(3)
    points = dice.integers(0, 30, (1500, 3)).astype(float)
    points = np.concatenate([points, points[::-1]])
    assert front(points).tolist() == by_definition(points)


def test_weakly_dominated_points_go_and_the_first_of_equals_stays():
    #   3 ┤ a   c
    #   2 ┤     b,d        c shares a column with b and a row with a: beaten by both
    #     └─1───2──
    points = np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [2.0, 2.0]])
    assert front(points).tolist() == [0, 1]


def test_nothing_has_an_empty_front():
    assert front(np.empty((0, 3))).tolist() == []
