import lpips
import pytest
import torch
from unite_core.errors import ConfigurationError
from unite_image.perceptual import (
    SMALLEST,
    TRUNKS,
    perceptual_distance,
    perceptual_network,
    untrained_network,
)

CPU = torch.device("cpu")


def noisy(images, *levels):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return [(images + level * noise).clamp(0, 1) for level in levels]


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_equal_images_are_at_zero(images, squeezenet):
    distance = perceptual_distance(images, images.clone(), "squeeze", squeezenet)
    assert distance.tolist() == [0.0, 0.0]


def test_distance_grows_with_noise(images, squeezenet):
    near, far, farther = (
        perceptual_distance(images, other, "squeeze", squeezenet)
        for other in noisy(images, 0.05, 0.2, 0.8)
    )
    assert (near > 0).all()
    assert (near < far).all()
    assert (far < farther).all()


def test_published_network_grows_with_noise(images):
    if not TRUNKS["squeeze"].cached.exists():
        pytest.skip(f"no {TRUNKS['squeeze'].name} in torch hub's cache")
    near, far = (
        perceptual_distance(images, other, "squeeze", None) for other in noisy(images, 0.05, 0.2)
    )
    assert (near < far).all()


def test_images_are_scaled_to_what_lpips_expects(images, squeezenet):
    (other,) = noisy(images, 0.2)
    network = perceptual_network("squeeze", squeezenet, CPU)
    expected = network(2 * images - 1, 2 * other - 1).flatten()
    found = perceptual_distance(images, other, "squeeze", squeezenet)
    torch.testing.assert_close(found, expected)


def test_trunk_and_heads_are_the_files(squeezenet):
    network = perceptual_network("squeeze", squeezenet, CPU)
    weights = torch.load(squeezenet, weights_only=True)
    own = network.net.slice3.get_submodule("6").expand3x3.weight
    assert torch.equal(own, weights["features.6.expand3x3.weight"])
    assert (network.lins[0].model[1].weight >= 0).all()  # the published heads are not negative
    assert network.lins[0].model[1].weight.any()


def test_network_is_frozen_with_drop_out_off_and_made_once(squeezenet):
    network = perceptual_network("squeeze", squeezenet, CPU)
    assert network is perceptual_network("squeeze", squeezenet, CPU)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_grey_is_rgb_of_equal_channels(images, squeezenet):
    grey = images[:, :1]
    (other,) = noisy(grey, 0.2)
    colour = [image.repeat(1, 3, 1, 1) for image in (grey, other)]
    torch.testing.assert_close(
        perceptual_distance(grey, other, "squeeze", squeezenet),
        perceptual_distance(*colour, "squeeze", squeezenet),
    )


def test_making_the_network_leaves_the_random_stream_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    untrained_network("squeeze")
    assert torch.equal(torch.rand(1), expected)


def test_network_first_made_by_sampling_can_train(images, squeezenet):
    perceptual_network.cache_clear()
    with torch.inference_mode():
        perceptual_network("squeeze", squeezenet, CPU)
    (other,) = noisy(images, 0.2)
    other.requires_grad_()
    perceptual_distance(other, images, "squeeze", squeezenet).sum().backward()
    assert other.grad is not None
    assert other.grad.abs().sum() > 0


def test_autocast_moves_the_distance_little(images, squeezenet):
    (other,) = noisy(images, 0.2)
    expected = perceptual_distance(images, other, "squeeze", squeezenet)
    with torch.autocast("cpu", torch.bfloat16):
        found = perceptual_distance(images, other, "squeeze", squeezenet)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


def test_missing_trunk_names_the_file_and_the_remedies(images, offline):
    with pytest.raises(ConfigurationError) as caught:
        perceptual_distance(images, images, "vgg", None)
    message = str(caught.value)
    for part in (
        "vgg16-397923af.pth",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        str(offline),
        "data.loss.network_weights",
        "data.loss.perceptual=0",
    ):
        assert part in message


def test_another_network_s_file_is_named(images, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ConfigurationError, match=r"other\.pth does not hold the network 'squeeze'"):
        perceptual_distance(images, images, "squeeze", tmp_path / "other.pth")


@pytest.mark.parametrize(
    "name",
    [
        "squeeze",
        pytest.param("alex", marks=pytest.mark.slow),
        pytest.param("vgg", marks=pytest.mark.slow),
    ],
)
def test_smallest_image_is_the_smallest_that_the_trunk_takes(name):
    network: lpips.LPIPS = untrained_network(name)
    side = SMALLEST[name]
    assert network(torch.zeros(1, 3, side, side), torch.zeros(1, 3, side, side)).item() == 0
    with pytest.raises(RuntimeError):
        network.net(torch.zeros(1, 3, side - 1, side - 1))


def test_image_too_small_for_the_trunk_is_named(squeezenet):
    small = torch.zeros(1, 3, 12, 12)
    with pytest.raises(ConfigurationError, match="needs images of 17 pixels or more, not 12 x 12"):
        perceptual_distance(small, small, "squeeze", squeezenet)
