"""The reconstruction loss of images."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss

from unite_image.config import ImageLossWeights


def image_loss(
    prediction: Float[Tensor, "b c h w"],
    target: Float[Tensor, "b c h w"],
    weights: ImageLossWeights,
) -> tuple[Tensor, dict[str, Tensor]]:
    """L1 + LPIPS of images in [0, 1] (arXiv 2603.22283), weighted; with its unweighted terms.

    ConfigurationError where LPIPS has a weight and its network is not there.
    """
    terms = {"l1": l1_loss(prediction.float(), target.float())}
    total = weights.l1 * terms["l1"]
    if weights.perceptual:
        # here, since lpips takes a second to import, and sampling does without
        from unite_image.perceptual import perceptual_distance

        distance = perceptual_distance(prediction, target, weights.network, weights.network_weights)
        terms["lpips"] = distance.mean()
        total = total + weights.perceptual * terms["lpips"]
    return total, {name: term.detach() for name, term in terms.items()}
