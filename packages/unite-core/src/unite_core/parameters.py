"""Tags that tell the optimizer where a parameter belongs; set where the parameter is made."""

from typing import TypeVar

from torch import nn

Item = TypeVar("Item", bound=nn.Parameter | nn.Module)
ADAMW = "adamw"


def tag_adamw(item: Item) -> Item:
    """Marks a parameter, or all of a module's, for AdamW even where Muon could take it."""
    parameters = [item] if isinstance(item, nn.Parameter) else list(item.parameters())
    for parameter in parameters:
        setattr(parameter, "unite_optimizer", ADAMW)  # noqa: B010 (not an attribute of Parameter)
    return item


def tagged_adamw(parameter: nn.Parameter) -> bool:
    """Whether `tag_adamw` marked it."""
    return getattr(parameter, "unite_optimizer", None) == ADAMW
