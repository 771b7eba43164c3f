import time

import numpy as np
import pytest
from unite_image.store import CHUNK, ImageStore, Row, chunks, write_store

RNG = np.random.default_rng(2)
COUNT = 2 * CHUNK + 10


@pytest.fixture(scope="module", params=[1, 3])
def stored(request, tmp_path_factory):
    """Rows with the store that was made of them."""
    folder = tmp_path_factory.mktemp("store")
    pixels = RNG.integers(0, 256, (COUNT, 4, 4, request.param), dtype=np.uint8)
    rows = [Row(p, i % 3 - 1, i % 2, 2**64 - 1 - i) for i, p in enumerate(pixels)]
    assert write_store(iter(rows), folder, 4, request.param) == COUNT
    return rows, ImageStore(folder, 4, request.param)


def test_rows_come_back_whole(stored):
    rows, store = stored
    assert len(store) == COUNT
    np.testing.assert_array_equal(store.labels, [row.label for row in rows])
    np.testing.assert_array_equal(store.splits, [row.split for row in rows])
    np.testing.assert_array_equal(store.numbers, np.array([row.number for row in rows], np.uint64))
    chosen = RNG.integers(0, COUNT, 50)
    np.testing.assert_array_equal(store.pixels(chosen), [rows[i].pixels for i in chosen])


def test_views_are_of_the_file_and_copies_are_not(stored):
    _, store = stored
    assert not any(view.flags.owndata or view.flags.writeable for view in store.views)
    assert store.pixels(np.array([0])).flags.writeable


def test_opening_takes_no_time(tmp_path):
    row = Row(np.zeros((64, 64, 3), np.uint8), 0, 0, 1)
    write_store((row for _ in range(10_000)), tmp_path, 64, 3)
    start = time.perf_counter()
    store = ImageStore(tmp_path, 64, 3)
    assert time.perf_counter() - start < 0.5
    assert store.pixels(np.array([9_999])).sum() == 0


def test_chunks_take_no_more_than_they_give():
    taken = []
    first = next(chunks(taken.append(i) or i for i in range(10 * CHUNK)))
    assert first == taken == list(range(CHUNK))
