import numpy as np
import pytest
from unite_core.errors import ConfigurationError
from unite_image.splits import SPLITS, members, split_rows

RNG = np.random.default_rng(5)
LABELS = np.repeat([0, 1, 2], [100, 40, 200])
NUMBERS = RNG.permutation(340).astype(np.uint64) << np.uint64(50)
NONE = np.zeros(340, dtype=np.uint8)


def test_every_class_gives_its_share():
    places = members(NONE, LABELS, NUMBERS, 0.1)
    for label, size in enumerate((100, 40, 200)):
        counts = np.bincount(places[label == LABELS])
        np.testing.assert_array_equal(counts, [0.8 * size, 0.1 * size, 0.1 * size])


def test_splits_follow_the_images_and_not_their_order():
    places = members(NONE, LABELS, NUMBERS, 0.1)
    order = RNG.permutation(340)
    np.testing.assert_array_equal(members(NONE, LABELS[order], NUMBERS[order], 0.1), places[order])


def test_rows_of_the_splits_are_all_rows_once():
    places = members(NONE, LABELS, NUMBERS, 0.1)
    rows = [split_rows(places, NUMBERS, split) for split in SPLITS]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(340))


def test_copies_share_a_split():
    numbers = NUMBERS.copy()
    numbers[LABELS == 0] //= np.uint64(7 << 50)  # seven copies of each
    places = members(NONE, LABELS, numbers, 0.1)
    for number in np.unique(numbers[LABELS == 0]):
        assert len(set(places[(LABELS == 0) & (numbers == number)])) == 1


def test_splits_of_the_source_are_kept():
    own = NONE.copy()
    own[::7] = 2
    places = members(own, LABELS, NUMBERS, 0.1)
    np.testing.assert_array_equal(places == 2, own == 2)
    assert 25 < (places == 1).sum() < 33  # a tenth of what trains


def test_nothing_is_held_out_of_a_source_with_all_splits():
    own = np.arange(340, dtype=np.uint8) % 3
    np.testing.assert_array_equal(members(own, LABELS, NUMBERS, 0.3), own)


def test_unknown_split_names_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'train'"):
        split_rows(NONE, NUMBERS, "trian")
