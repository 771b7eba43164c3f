"""The class condition, with a row of its own for no class."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from unite_core.modality import ConditionEmbedding
from unite_core.parameters import tag_adamw


class ClassEmbedding(ConditionEmbedding):
    """A table of num_classes + 2 rows: the classes, no class, and one that nothing reads.

    The last is the published layout's.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.no_class = num_classes
        self.table = tag_adamw(nn.Embedding(num_classes + 2, width))
        nn.init.normal_(self.table.weight, std=0.02)

    def null(self, count: int) -> Float[Tensor, "count h"]:
        return self.table.weight[self.no_class].expand(count, -1)

    def forward(
        self, condition: Int[Tensor, " b"], dropped: Bool[Tensor, " b"]
    ) -> Float[Tensor, "b h"]:
        rows: Tensor = self.table(torch.where(dropped, self.no_class, condition))
        return rows
