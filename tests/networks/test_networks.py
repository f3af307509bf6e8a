"""Every network is the one of its paper, the same at each call, and a function of its input."""

import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="needs tool torch")

from edgekit.errors import UsageError  # noqa: E402
from edgekit.networks.mobilenetv2 import mobilenetv2  # noqa: E402
from edgekit.networks.resnet import resnet18, resnet50  # noqa: E402
from edgekit.networks.vit import vit_tiny  # noqa: E402

SMALL = {
    "mobilenetv2": (lambda: mobilenetv2(classes=10), 64),
    "resnet18": (lambda: resnet18(classes=10), 64),
    "resnet50": (lambda: resnet50(classes=10), 64),
    "vit_tiny": (lambda: vit_tiny(classes=10, image=64, depth=2), 64),
}


@pytest.mark.parametrize(
    ("factory", "parameters"),
    [(mobilenetv2, 3_504_872), (resnet18, 11_689_512), (resnet50, 25_557_032), (vit_tiny, 5_717_416)],
)
def test_the_parameter_count_is_that_of_the_paper(factory, parameters):
    assert sum(weight.numel() for weight in factory().parameters()) == parameters


@pytest.mark.parametrize("name", SMALL)
def test_the_output_is_finite_and_depends_on_the_input(name):
    build, size = SMALL[name]
    with torch.no_grad():
        first, second = build()(torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)))
    assert first.shape == (10,)
    assert torch.stack((first, second)).isfinite().all()
    assert 0.001 < (first - second).abs().max() < 100


@pytest.mark.parametrize("name", SMALL)
def test_a_factory_returns_the_same_network_each_time_and_leaves_the_global_random_state_alone(name):
    build, _ = SMALL[name]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = build().state_dict(), build().state_dict()
    assert torch.equal(torch.rand(1), expected)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_another_process_makes_the_same_network():
    code = "from edgekit.networks.vit import vit_tiny; print([w.sum().item() for w in vit_tiny(classes=2, image=32, depth=1).parameters()])"
    runs = [subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True) for seed in "02"]
    assert len({run.stdout for run in runs}) == 1
    assert runs[0].stdout.startswith(b"[")


@pytest.mark.parametrize("name", SMALL)
def test_a_factory_returns_a_network_in_eval_mode(name):
    assert not any(part.training for part in SMALL[name][0]().modules())


@pytest.mark.parametrize(
    ("build", "keys"),
    [
        (
            SMALL["mobilenetv2"][0],
            ["features.0.1.running_mean", "features.1.conv.1.weight", "features.17.conv.2.weight", "classifier.1.bias"],
        ),
        (SMALL["resnet18"][0], ["bn1.num_batches_tracked", "layer1.0.conv2.weight", "layer4.0.downsample.1.running_var", "fc.weight"]),
        (SMALL["resnet50"][0], ["layer1.0.downsample.0.weight", "layer3.5.bn3.bias", "fc.bias"]),
        (
            SMALL["vit_tiny"][0],
            ["cls_token", "pos_embed", "patch_embed.proj.bias", "blocks.1.attn.qkv.weight", "blocks.0.mlp.fc2.bias", "head.weight"],
        ),
    ],
)
def test_parameters_bear_the_names_of_the_usual_checkpoints(build, keys):
    assert set(keys) <= build().state_dict().keys()


def test_the_default_input_has_the_shape_the_network_carries():
    assert resnet18(2).input_shape == mobilenetv2(2).input_shape == vit_tiny(classes=2).input_shape == (1, 3, 224, 224)
    assert vit_tiny(classes=2, image=96, depth=1).input_shape == (1, 3, 96, 96)


def test_width_scales_the_channels_to_multiples_of_eight():
    thin = mobilenetv2(width=0.35)
    assert thin.features[0][0].out_channels == 16
    assert thin.classifier[1].in_features == 1280
    assert [block.conv[-1].num_features for block in thin.features[1:-1]][:5] == [8, 8, 8, 16, 16]


def test_patches_that_do_not_tile_the_image_are_refused():
    with pytest.raises(UsageError, match="choose divisors"):
        vit_tiny(image=100)
