import numpy as np
import pytest
import torch
from unite_core.errors import ConfigurationError, DataError
from unite_image import features, statistics
from unite_image.features import encode_all
from unite_image.image_sets import ImageList
from unite_image.statistics import (
    fingerprint,
    holds_statistics,
    measure,
    moments,
    read_statistics,
    reference_statistics,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "image-statistics"


def test_moments_are_numpy_s():
    values = np.random.default_rng(0).normal(3.0, size=(20, 4)).astype(np.float32)
    mean, covariance = moments(torch.from_numpy(values).split(7))
    np.testing.assert_allclose(mean, values.mean(0, dtype=float), atol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(values.astype(float), rowvar=False), atol=1e-12)


def test_statistics_do_not_move_with_batch_size(pictures, pooled, monkeypatch):
    images = ImageList(pictures(11))
    expected = measure(pooled, images)
    monkeypatch.setattr(features, "BATCH", 2)
    found = measure(pooled, images)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-14)
    assert np.array_equal(found.kept, expected.kept)


@pytest.mark.parametrize("batch", [2, 16])
def test_kept_features_are_spread_evenly(pictures, pooled, monkeypatch, batch):
    images = ImageList(pictures(11))
    monkeypatch.setattr(features, "BATCH", batch)
    monkeypatch.setattr(statistics, "KEPT", 4)
    assert np.array_equal(measure(pooled, images).kept, encode_all(pooled, images).features[::3])


def test_one_image_has_no_covariance(pictures, pooled):
    with pytest.raises(DataError, match="two images or more on each side, not 1"):
        measure(pooled, ImageList(pictures(1)))


def test_fingerprint_is_of_the_pixels(pictures):
    images = pictures(4)
    same, other = ImageList(pictures(4)), ImageList(images[::-1])
    assert fingerprint(ImageList(images)) == fingerprint(same)
    assert fingerprint(ImageList(images)) != fingerprint(other)


def test_reference_is_measured_once(pictures, pooled, cache, monkeypatch):
    images = ImageList(pictures(5))
    first = reference_statistics(pooled, images, "own")
    (path,) = cache.iterdir()
    assert path.name.startswith("own-pooled-")
    monkeypatch.setattr(statistics, "measure", None)
    second = reference_statistics(pooled, images, "own")
    assert np.array_equal(first.covariance, second.covariance)
    assert np.array_equal(first.kept, second.kept)


def test_other_weights_of_a_network_measure_anew(pictures, pooled):
    images = ImageList(pictures(5))
    first = reference_statistics(pooled, images, "own")
    pooled.scale.mul_(2)
    second = reference_statistics(pooled, images, "own")
    np.testing.assert_allclose(second.mean, 2 * first.mean, rtol=1e-6)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
def test_damaged_cache_is_measured_anew(pictures, pooled, cache, damage):
    images = ImageList(pictures(5))
    expected = reference_statistics(pooled, images, "own")
    (path,) = cache.iterdir()
    content = path.read_bytes()
    middle = len(content) // 2
    changed = {
        "cut": content[:middle],
        "flip": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "empty": b"",
        "foreign": b"something else",
    }
    path.write_bytes(changed[damage])
    found = reference_statistics(pooled, images, "own")
    assert np.array_equal(found.mean, expected.mean)
    assert np.array_equal(found.covariance, expected.covariance)
    assert path.read_bytes() == content


def test_published_statistics_are_read(tmp_path, pooled):
    path = tmp_path / "stats.npz"
    np.savez(path, mu=np.ones(12), sigma=np.eye(12))
    assert holds_statistics(path)
    found = read_statistics(path, pooled)
    assert np.array_equal(found.mean, np.ones(12))
    assert found.kept.shape == (0, 12)


def test_statistics_of_another_network_are_named(tmp_path, pooled):
    path = tmp_path / "stats.npz"
    np.savez(path, mu=np.ones(2048), sigma=np.eye(2048))
    with pytest.raises(ConfigurationError, match="of 2048 features, the network pooled has 12"):
        read_statistics(path, pooled)


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        (np.ones(12), np.eye(11)),
        (np.full(12, np.nan), np.eye(12)),
        (np.ones((2, 6)), np.eye(12)),
        (np.ones(()), np.ones(())),
        (np.ones((12, 12)), np.eye(12)),
        (np.ones(12), np.eye(12) * 1j),
        (np.ones(12), np.array(["x"])),
    ],
)
def test_unusable_statistics_are_named(tmp_path, pooled, mean, covariance):
    path = tmp_path / "stats.npz"
    np.savez(path, mu=mean, sigma=covariance)
    with pytest.raises(DataError, match=r"stats\.npz"):
        read_statistics(path, pooled)


def test_statistics_in_columns_are_read_in_their_order(tmp_path, pooled):
    covariance = np.arange(144.0).reshape(12, 12)
    np.savez(tmp_path / "stats.npz", mu=np.ones(12), sigma=np.asfortranarray(covariance))
    np.testing.assert_array_equal(
        read_statistics(tmp_path / "stats.npz", pooled).covariance, covariance
    )


def test_images_and_other_files_are_no_statistics(tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((2, 8, 8, 3), np.uint8))
    assert not holds_statistics(tmp_path / "images.npz")
    assert not holds_statistics(tmp_path)
    assert not holds_statistics(tmp_path / "absent.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"broken\.npz"):
        holds_statistics(tmp_path / "broken.npz")
