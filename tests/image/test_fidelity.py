import numpy as np
import pytest
import torch
from unite_image.features import Encoded, encode_all
from unite_image.fidelity import fidelity, frechet_distance, inception_score, precision_recall
from unite_image.image_sets import ImageList
from unite_image.statistics import Statistics, measure


def gaussian(mean, covariance):
    return Statistics(
        np.array(mean, float), np.array(covariance, float), np.zeros((0, len(mean)), np.float32)
    )


def test_distance_of_gaussians_with_axes_in_common():
    a, b = gaussian([0, 0, 0], np.diag([1, 4, 9])), gaussian([1, 2, 0], np.diag([4, 4, 1]))
    # the squared differences of means and of standard deviations
    assert frechet_distance(a, b) == pytest.approx((1 + 4) + (1 + 0 + 4))
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))


def test_distance_of_gaussians_whose_axes_differ():
    first, second = np.array([[2.0, 1.0], [1.0, 2.0]]), np.diag([1.0, 3.0])
    # in two dimensions tr (AB)^(1/2) = (tr AB + 2 (det AB)^(1/2))^(1/2)
    root = np.sqrt(np.trace(first @ second) + 2 * np.sqrt(np.linalg.det(first @ second)))
    expected = np.trace(first) + np.trace(second) - 2 * root
    assert frechet_distance(gaussian([0, 0], first), gaussian([0, 0], second)) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("count", [20, 400])
def test_set_is_at_zero_from_itself(count):
    # fewer images than features too, where the covariance has no inverse
    values = np.random.default_rng(0).exponential(size=(count, 64))
    own = gaussian(values.mean(0), np.cov(values, rowvar=False))
    assert abs(frechet_distance(own, own)) < 1e-6 * np.trace(own.covariance)


def test_inception_score_of_certain_classes_is_their_number():
    certain = 50 * torch.eye(4).repeat(5, 1)
    assert inception_score(certain) == pytest.approx(4)
    assert inception_score(torch.zeros(20, 4)) == pytest.approx(1)


def test_precision_is_of_samples_and_recall_of_the_reference():
    reference = torch.cat([torch.randn(30, 2), torch.randn(30, 2) + 100])
    half = reference[:30] + 0.01
    precision, recall = precision_recall(half, reference)
    assert precision == 1
    assert recall == 0.5


def test_row_names_the_network(pictures, pooled):
    images = ImageList(pictures(8))
    row = fidelity(pooled, encode_all(pooled, images), measure(pooled, images))
    assert row["images"] == 8
    assert row["fid (pooled)"] == pytest.approx(0, abs=1e-9)
    assert row["precision (pooled)"] == row["recall (pooled)"] == 1
    assert "inception score (pooled)" in row


def test_reference_of_moments_alone_has_no_precision(pooled):
    row = fidelity(
        pooled, Encoded(torch.randn(9, 2), torch.zeros(9, 3)), gaussian([0, 0], np.eye(2))
    )
    assert list(row) == ["images", "fid (pooled)", "inception score (pooled)"]
