"""The training images nearest to samples, in features: copies would show."""

import argparse

import numpy as np
from environment import RESULTS, publish
from unite_core.model import load_model
from unite_image.features import open_network
from unite_image.grids import draw_rows
from unite_image.image_sets import ImageList
from unite_image.neighbours import nearest

COLUMNS = 8
"""Samples in a row of the picture; their neighbours are the row below."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="emoji-small")
    parser.add_argument("--count", type=int, default=64)
    arguments = parser.parse_args()
    model, network = load_model(arguments.model), open_network("lite0", None)
    data = {split: model.modality.dataset(split) for split in ("train", "test")}
    training = data["train"]
    samples = model.generate(arguments.count)
    held_out = data["test"].images(np.arange(min(arguments.count, len(data["test"]))))
    found, distances = nearest(ImageList(samples), training, network)
    _, usual = nearest(ImageList(held_out), training, network)
    rows = [
        {"images": name, "median_distance": float(d.median()), "least_distance": float(d.min())}
        for name, d in (("samples", distances), ("held out", usual))
    ]
    publish("neighbours", rows, **vars(arguments))
    neighbours = training.images(found.numpy())
    pairs = [
        (name, images[start : start + COLUMNS])
        for start in range(0, len(samples), COLUMNS)
        for name, images in (("sample", samples), ("nearest", neighbours))
    ]
    draw_rows(pairs, RESULTS / "neighbours.png")


if __name__ == "__main__":
    main()
