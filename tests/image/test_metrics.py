import numpy as np
import PIL.Image
import pytest
from unite_core.errors import ConfigurationError, DataError
from unite_image import features, metrics
from unite_image.config import ImageConfig, ImageScoreConfig
from unite_image.image_sets import Blurred, ImageList
from unite_image.metrics import check_score, score_reconstruction, score_sets, score_table
from unite_image.statistics import measure


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def use_pooled(pooled, monkeypatch):
    monkeypatch.setattr(metrics, "open_network", lambda name, weights: pooled)


def test_rows_tell_samples_data_and_blurred_data(pictures, pooled):
    training, held_out = pictures(30), pictures(10, seed=1)
    table = score_sets(pooled, ImageList(training), ImageList(training), ImageList(held_out))
    assert list(table) == ["samples", "data", "data blurred by 2 px"]
    assert table["samples"]["fid (pooled)"] == pytest.approx(0, abs=1e-9)
    assert table["data"]["images"] == 10
    assert table["data"]["fid (pooled)"] > 0
    assert list(table["data"]) == list(table["samples"])
    # noise loses nearly all of its variance to the blur
    spread = sum(np.var([i.pixels for i in training], axis=0).ravel() / 255**2) / 16
    assert 0 < table["data blurred by 2 px"]["fid (pooled)"] < spread


def test_figures_do_not_move_with_batch_size(pictures, pooled, monkeypatch):
    sets = [ImageList(pictures(n, seed=n)) for n in (9, 30, 10)]
    expected = score_sets(pooled, *sets)
    monkeypatch.setattr(features, "BATCH", 4)
    monkeypatch.setenv("UNITE_CACHE", "")
    monkeypatch.setattr(
        metrics, "reference_statistics", lambda network, images, _: measure(network, images)
    )
    found = score_sets(pooled, *sets)
    for row, figures in expected.items():
        assert found[row] == pytest.approx(figures, rel=1e-6, abs=1e-9)


def test_a_measured_reference_is_neither_encoded_nor_blurred_again(pictures, pooled, monkeypatch):
    samples, training, held_out = (ImageList(pictures(n, seed=n)) for n in (9, 30, 10))
    expected = score_sets(pooled, samples, training, held_out)
    monkeypatch.setattr("unite_image.statistics.measure", None)
    monkeypatch.setattr(Blurred, "images", None)
    assert score_sets(pooled, samples, training, held_out) == expected


def test_another_reference_is_measured_anew(pictures, pooled):
    samples, held_out = ImageList(pictures(9)), ImageList(pictures(10, seed=1))
    first, second = (
        score_sets(pooled, samples, ImageList(pictures(30, seed=seed)), held_out) for seed in (2, 3)
    )
    assert first["data blurred by 2 px"] != second["data blurred by 2 px"]
    assert first["samples"] != second["samples"]


def test_published_statistics_are_a_reference(pictures, tmp_path, use_pooled):
    path = tmp_path / "stats.npz"
    np.savez(path, mu=np.zeros(12), sigma=np.eye(12))
    table = score_table(ImageConfig(), pictures(6), str(path))
    assert table["data"] == {}
    assert table["samples"]["fid (pooled)"] > 0


def test_reference_is_cut_to_the_samples_size(pictures, use_pooled, monkeypatch):
    asked = []

    def open_dataset(config, split):
        asked.append((config.path, config.resolution, config.channels, split))
        return ImageList(pictures(6, channels=1))

    monkeypatch.setattr(metrics, "open_dataset", open_dataset)
    score_table(ImageConfig(resolution=256), pictures(6, channels=1), "own")
    assert asked == [("own", 8, 1, "train"), ("own", 8, 1, "test")]


def test_classes_of_a_reference_play_no_part(pictures, use_pooled, tmp_path):
    """It has none here, and the model is conditional."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for number, image in enumerate(pictures(40)):
        PIL.Image.fromarray(image.pixels).save(folder / f"{number}.png")
    table = score_table(ImageConfig(held_out=0.2), pictures(6), str(folder))
    assert (table["data"]["images"], table["samples"]["images"]) == (8, 6)


@pytest.mark.parametrize("count", [9, 20])
def test_samples_are_scored_beside_a_source_too_small_to_be_split(
    pictures, use_pooled, tmp_path, count
):
    """It has no or one test image."""
    folder = tmp_path / "few"
    folder.mkdir()
    for number, image in enumerate(pictures(count)):
        PIL.Image.fromarray(image.pixels).save(folder / f"{number}.png")
    table = score_table(ImageConfig(), pictures(6, seed=1), str(folder))
    assert table["data"] == {}
    assert table["samples"]["fid (pooled)"] > 0


def test_what_scoring_lacks_is_told_without_samples(use_pooled, tmp_path):
    check_score(ImageConfig(resolution=32, patch=8), None)
    with pytest.raises(ConfigurationError, match=r"no data\.path 'nowhere'"):
        check_score(ImageConfig(), "nowhere")
    np.savez(tmp_path / "stats.npz", mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(ConfigurationError, match="is of 3 features"):
        check_score(ImageConfig(), str(tmp_path / "stats.npz"))


def test_a_single_image_is_not_scored(pictures):
    """It may be a picture of many; the reference would be enlarged to its size."""
    with pytest.raises(DataError, match="there is one: save samples"):
        score_table(ImageConfig(), pictures(1, side=1162), None)


def test_samples_of_several_sizes_are_named(pictures, use_pooled):
    with pytest.raises(DataError, match="8 x 8 x 3, 9 x 9 x 3"):
        score_table(ImageConfig(), [*pictures(2), *pictures(2, side=9)], None)
    with pytest.raises(DataError, match="there are none"):
        score_table(ImageConfig(), [], None)


def test_missing_network_is_an_error(pictures, offline):
    with pytest.raises(ConfigurationError, match="weights-inception"):
        score_table(ImageConfig(score={"network": "inception"}), pictures(2), None)


def test_perfect_reconstruction(pictures, use_pooled, offline):
    images = pictures(5, side=16)
    row = score_reconstruction(ImageScoreConfig(), images, images)
    assert list(row) == ["images", "l1", "psnr", "ssim", "lpips (vgg)", "rfid (pooled)"]
    assert row["l1"] == 0
    assert row["rfid (pooled)"] == pytest.approx(0, abs=1e-9)
    assert row["lpips (vgg)"] == "needs vgg16-397923af.pth"


def test_one_pair_has_no_rfid(pictures, offline):
    row = score_reconstruction(
        ImageScoreConfig(), pictures(1, side=16), pictures(1, side=16, seed=1)
    )
    assert list(row) == ["images", "l1", "psnr", "ssim", "lpips (vgg)"]
