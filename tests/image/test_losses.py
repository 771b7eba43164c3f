import pytest
import torch
from unite_core.errors import ConfigurationError
from unite_image.config import ImageLossWeights
from unite_image.losses import image_loss
from unite_image.perceptual import perceptual_distance


def test_l1_of_a_known_pair_needs_no_network(offline):
    target = torch.zeros(2, 1, 4, 4)
    prediction = target.clone()
    prediction[0, 0, :2] = 0.5
    total, terms = image_loss(prediction, target, ImageLossWeights(l1=4.0, perceptual=0.0))
    assert list(terms) == ["l1"]
    assert terms["l1"].item() == 0.125
    assert total.item() == 0.5


def test_total_is_the_weighted_sum_of_terms(squeezenet):
    prediction, target = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    weights = ImageLossWeights(
        l1=2.0, perceptual=0.5, network="squeeze", network_weights=squeezenet
    )
    prediction.requires_grad_()
    total, terms = image_loss(prediction, target, weights)
    distance = perceptual_distance(prediction, target, "squeeze", squeezenet).mean()
    torch.testing.assert_close(terms["lpips"], distance.detach())
    torch.testing.assert_close(total, 2 * terms["l1"] + 0.5 * terms["lpips"])
    assert not any(term.requires_grad for term in terms.values())
    total.backward()
    assert prediction.grad is not None


def test_missing_network_is_an_error_with_a_remedy(offline):
    images = torch.zeros(1, 3, 16, 16)
    with pytest.raises(ConfigurationError, match=r"vgg16-397923af\.pth.*data\.loss\.perceptual=0"):
        image_loss(images, images, ImageLossWeights())
