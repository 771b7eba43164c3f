"""A run that starts from the weights of a trained model in place of random ones."""

import logging

from unite_core.errors import ConfigurationError
from unite_core.model import UniteModel, load_model
from unite_core.resuming import difference

logger = logging.getLogger(__name__)


def start_from(model: UniteModel, name: str) -> None:
    """Copies the weights of `name`, as `load_model` takes it, into a fresh model of its sizes.

    Where the two have other classes, the condition's embedding stays fresh, with a warning.
    ConfigurationError where anything else differs, StorageError where `name` does not load.
    """
    source = load_model(name)
    if difference(source.condition.state_dict(), model.condition.state_dict()):
        logger.warning("%s has other classes: their embedding starts anew", name)
        source.condition = model.condition
    told = difference(source.state_dict(), model.state_dict())
    if told is not None:
        raise ConfigurationError(
            f"--from {name}: of another model: {told}; give the recipe that it was trained with, "
            "or its data and encoder sections (`unite info` shows them)"
        )
    model.load_state_dict(source.state_dict())
