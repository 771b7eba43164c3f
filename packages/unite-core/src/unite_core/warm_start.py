"""A run that starts from the weights of a trained model in place of random ones."""

import logging

from unite_core.errors import ConfigurationError
from unite_core.model import UniteModel, load_model
from unite_core.resuming import difference

logger = logging.getLogger(__name__)


def start_from(model: UniteModel, name: str) -> None:
    """Copies the weights of `name`, as `load_model` takes it, into a fresh model.

    Tensors of tokenizer, decoder and condition that have another size for other data, as those of
    elements or classes, stay fresh, with a warning. ConfigurationError where the encoders differ or
    it is another modality's; StorageError where `name` does not load.
    """
    source = load_model(name)
    if source.modality.name != model.modality.name:
        raise ConfigurationError(
            f"--from {name}: a model of modality {source.modality.name}, "
            f"the recipe's is {model.modality.name}"
        )
    told = difference(source.encoder.state_dict(), model.encoder.state_dict())
    if told is not None:
        raise ConfigurationError(
            f"--from {name}: has another encoder: {told}; give the recipe that it was trained "
            "with, or its encoder section (`unite info` shows it)"
        )
    theirs, own = source.state_dict(), model.state_dict()
    fresh = [key for key in own if key not in theirs or theirs[key].shape != own[key].shape]
    if fresh:
        logger.warning("not those of %s, but anew: %s", name, ", ".join(fresh))
    model.load_state_dict({key: own[key] if key in fresh else theirs[key] for key in own})
