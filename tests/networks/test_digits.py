"""The network that reads digits is the same at each call, and reads digits that it never saw."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs tool torch")
pytest.importorskip("sklearn", reason="needs data scikit-learn's digits")

from edgekit.networks.digits import FITTED, SIZE, digits, mobilenetv2_digits  # noqa: E402


@pytest.fixture(scope="module")
def fitted():
    return mobilenetv2_digits()


def test_digits_are_images_of_the_network_s_size_between_0_and_1():
    found = digits()
    assert found.images.shape == (1797, 3, SIZE, SIZE) and found.images.dtype == np.float32
    assert found.images.min() == 0 and found.images.max() == 1
    assert sorted(set(found.labels.tolist())) == list(range(10))


def test_nine_in_ten_digits_are_read_that_were_not_fitted_to(fitted):
    unseen = digits().part(FITTED, FITTED + 200)
    with torch.no_grad():
        said = fitted(torch.from_numpy(unseen.images)).argmax(1).numpy()
    assert (said == unseen.labels).mean() > 0.88


def test_the_fitted_network_is_the_same_each_time(fitted):
    state = torch.get_rng_state()
    again = mobilenetv2_digits()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(left, right) for left, right in zip(fitted.state_dict().values(), again.state_dict().values(), strict=True))
    assert fitted.input_shape == (1, 3, SIZE, SIZE) and not any(part.training for part in fitted.modules())
    assert not any(weight.requires_grad and weight.grad_fn for weight in fitted.parameters())
