"""A roofline with no negative terms, and a process for what it leaves."""

import numpy as np
import pytest

from profilers.predict.regression import fit, roofline


def kernels(count, seed, noise=0.0):
    """Terms (a constant, work, bytes), logarithmic features, and seconds with a bump that no roofline has."""
    random = np.random.default_rng(seed)
    work, moved = 10 ** random.uniform(4, 8, count), 10 ** random.uniform(3, 6, count)
    terms = np.stack([np.ones(count), work, moved], axis=1)
    seconds = (2e-6 + work / 2e10 + moved / 5e9) * np.exp(0.2 * np.sin(np.log(work)) + random.normal(0, noise, count))
    return terms, np.log2(terms[:, 1:]), seconds


def test_a_roofline_without_a_bump_is_found_term_by_term():
    terms = np.stack([np.ones(50), np.geomspace(1e4, 1e9, 50), np.geomspace(1e6, 1e3, 50)], axis=1)
    assert roofline(terms, terms @ [3e-6, 4e-11, 2e-10]) == pytest.approx([3e-6, 4e-11, 2e-10])


def test_no_weight_of_a_roofline_is_negative():
    terms = np.stack([np.ones(40), np.geomspace(1, 100, 40)], axis=1)
    weights = roofline(terms, 1 / np.geomspace(1, 100, 40))
    assert (weights >= 0).all()
    assert weights.sum() > 0


@pytest.mark.parametrize("seed", range(40))
def test_a_term_that_no_sample_has_weighs_nothing(seed):
    random = np.random.default_rng(seed)
    work, moved = 10 ** random.uniform(4, 8, 60), 10 ** random.uniform(3, 6, 60)
    terms = np.stack([np.ones(60), np.zeros(60), work, moved], axis=1)
    weights = roofline(terms, terms @ [3e-6, 0.0, 4e-11, 2e-10] * random.uniform(0.8, 1.2, 60))
    assert weights[1] == 0.0
    assert weights.max() < 1e-4


def test_new_kernels_between_sampled_ones_are_predicted_better_than_by_the_roofline():
    known, new = kernels(200, seed=0), kernels(50, seed=1)
    seconds, deviation = fit(*known).predict(*new[:2])
    by_roofline = new[0] @ roofline(known[0], known[2])
    assert np.median(np.abs(seconds / new[2] - 1)) < 0.02
    assert np.median(np.abs(by_roofline / new[2] - 1)) > 0.05
    assert (deviation > 0).all()


def test_far_from_what_was_sampled_the_roofline_speaks_and_the_deviation_grows():
    known = kernels(150, seed=0)
    regression = fit(*known)
    far = np.array([[1.0, 1e14, 1e12]])
    seconds, deviation = regression.predict(far, np.log2(far[:, 1:]))
    assert seconds == pytest.approx(far @ regression.weights, rel=0.05)
    assert deviation[0] > 2 * regression.predict(known[0][:1], known[1][:1])[1][0]


def test_the_same_samples_give_the_same_regression():
    known = kernels(100, seed=3, noise=0.05)
    assert (fit(*known).solved == fit(*known).solved).all()
