import torch
from unite_core.parameters import tagged_adamw
from unite_image.condition import ClassEmbedding


def test_null_class_equals_no_class():
    embedding = ClassEmbedding(num_classes=5, width=8)
    dropped = torch.tensor([True, False, True])
    rows = embedding(torch.tensor([0, 4, 2]), dropped)
    torch.testing.assert_close(rows[dropped], embedding.null(2))
    torch.testing.assert_close(rows[1], embedding.table.weight[4])


def test_no_class_is_the_row_after_the_last_class():
    embedding = ClassEmbedding(num_classes=5, width=8)
    assert embedding.table.weight.shape == (7, 8)
    torch.testing.assert_close(embedding.null(1)[0], embedding.table.weight[5])
    assert not torch.isclose(embedding.null(1), embedding.table.weight[:5]).all(1).any()


def test_no_class_learns_from_the_rows_that_drop_theirs():
    embedding = ClassEmbedding(num_classes=3, width=4)
    embedding(torch.tensor([0, 1]), torch.tensor([True, False])).sum().backward()
    learning = embedding.table.weight.grad.abs().sum(1).nonzero()[:, 0]
    assert learning.tolist() == [1, 3]
    assert tagged_adamw(embedding.table.weight)


def test_rows_start_small():
    torch.manual_seed(0)
    weight = ClassEmbedding(num_classes=200, width=64).table.weight
    assert abs(weight.std().item() - 0.02) < 0.001
