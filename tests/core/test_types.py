"""How contents meet registers, and which latents a layout has."""

import torch
from unite_core.types import AppendedTokens, Layout, PairedTokens, Sequence


def registers() -> Sequence:
    mask = torch.tensor([[True, True, True], [True, True, False]])
    return Sequence(torch.randn(2, 3, 4), mask, torch.arange(3.0))


def test_appended_tokens_follow_at_positions_of_their_own() -> None:
    own = registers()
    tokens = AppendedTokens(torch.randn(2, 2, 4), torch.ones(2, 2, dtype=torch.bool), context=None)
    joined = tokens.join(own, free=5)
    assert joined.positions.tolist() == [0, 1, 2, 5, 6]
    assert torch.equal(joined.x[:, :3], own.x)
    assert torch.equal(joined.x[:, 3:], tokens.x)
    assert joined.mask.tolist() == [[True] * 5, [True, True, False, True, True]]


def test_paired_tokens_are_added_one_to_one() -> None:
    own = registers()
    tokens = PairedTokens(torch.randn(2, 3, 4), own.mask, context=None)
    joined = tokens.join(own, free=3)
    torch.testing.assert_close(joined.x, own.x + tokens.x)
    assert torch.equal(joined.positions, own.positions)
    assert torch.equal(joined.mask, own.mask)


def test_layout_mask_counts_sizes() -> None:
    assert Layout(torch.tensor([3, 1])).mask.tolist() == [[True, True, True], [True, False, False]]


def test_rows_of_a_layout_keep_what_belongs_to_them() -> None:
    condition, context = torch.tensor([5, 6, 7]), torch.tensor([50, 60, 70])
    rows = Layout(torch.tensor([3, 1, 2]), condition, context, length=4)[torch.tensor([2, 0])]
    assert [part.tolist() for part in (rows.sizes, rows.condition, rows.context)] == [
        [2, 3],
        [7, 5],
        [70, 50],
    ]
    assert rows.length == 4
    bare = Layout(torch.tensor([3, 1]))[torch.tensor([1, 1])]
    assert (bare.sizes.tolist(), bare.condition, bare.context) == ([1, 1], None, None)
