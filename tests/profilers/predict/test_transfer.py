"""A new device's latencies from known ones and a few measurements."""

import numpy as np
import pytest

from profilers.predict.transfer import choose, learn_family, predict


def devices_by_costs(devices: int, architectures: int, seed: int, noise: float = 0.0):
    """Latency = counts of operators × their costs on a device; the counts are the features."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 6, (architectures, 5)) + 0.5
    costs = np.exp(random.normal(0, 0.7, (devices, 5))) * 10 ** random.uniform(-4, -1, (devices, 1))
    return (costs @ counts.T) * np.exp(random.normal(0, noise, (devices, architectures))), counts


def order(values):
    return np.argsort(np.argsort(values))


@pytest.mark.parametrize("known", [0, 1, 2, 6])
def test_ten_measurements_order_the_other_architectures_of_a_new_device(known):
    latency_s, features = devices_by_costs(known + 1, 120, seed=known, noise=0.02)
    family = learn_family(latency_s[:known], features)
    measured = choose(family, 10)
    seconds, _ = predict(family, measured, latency_s[-1, measured])
    rest = np.setdiff1d(np.arange(120), measured)
    assert np.corrcoef(order(seconds[rest]), order(latency_s[-1, rest]))[0, 1] > (0.9 if known else 0.8)


def test_a_device_that_is_a_multiple_of_a_known_one_is_predicted_from_few_measurements():
    latency_s, features = devices_by_costs(4, 60, seed=1)
    new = 30 * latency_s[2]
    family = learn_family(latency_s, features)
    measured = choose(family, 4)
    seconds, deviation = predict(family, measured, new[measured])
    assert np.median(np.abs(seconds / new - 1)) < 0.1
    assert np.median(np.abs(np.log(seconds / new)) / deviation) < 2


def test_constant_and_repeated_features_change_nothing_that_matters():
    latency_s, features = devices_by_costs(3, 40, seed=2)
    bare = learn_family(latency_s[:2], features)
    padded = learn_family(latency_s[:2], np.hstack([features, np.ones((40, 3)), np.zeros((40, 1))]))
    measured = np.arange(10)
    assert predict(bare, measured, latency_s[2, :10])[0] == pytest.approx(predict(padded, measured, latency_s[2, :10])[0])


def test_without_features_and_known_devices_everything_is_what_was_measured_on_average():
    family = learn_family(np.ones((0, 5)), np.ones((5, 1)))
    seconds, _ = predict(family, np.array([0, 1]), np.array([2.0, 2.0]))
    assert seconds == pytest.approx([2.0] * 5)


def test_no_architecture_is_chosen_twice_and_only_from_the_pool():
    latency_s, features = devices_by_costs(3, 50, seed=3)
    chosen = choose(learn_family(latency_s, features), 12, pool=np.arange(20, 40), seed=5)
    assert len(set(chosen)) == 12
    assert set(chosen) <= set(range(20, 40))
    with pytest.raises(ValueError, match="at most 20"):
        choose(learn_family(latency_s, features), 21, pool=np.arange(20, 40))


def test_the_same_table_gives_the_same_prediction():
    latency_s, features = devices_by_costs(4, 50, seed=4, noise=0.05)
    first, second = (learn_family(latency_s[:3], features) for _ in range(2))
    assert first.levels == second.levels
    assert (choose(first, 8, seed=1) == choose(second, 8, seed=1)).all()


def test_a_device_like_none_of_the_known_ones_is_predicted_by_the_size_that_explains_it():
    random = np.random.default_rng(4)
    macs, others = np.exp(random.uniform(10, 16, 80)), np.exp(random.uniform(4, 9, (80, 3)))
    known = others[:, 0] * np.exp(random.normal(0, 0.02, (5, 80)))  # what moves data is all that counts there
    new = 1e-9 * macs * np.exp(random.normal(0, 0.05, 80))
    family = learn_family(known, np.column_stack([macs, others]))
    measured = choose(family, 10)
    seconds, _ = predict(family, measured, new[measured])
    assert np.median(np.abs(seconds / new - 1)) < 0.1
