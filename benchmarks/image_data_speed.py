"""How long the emoji take to prepare and to open, and how many images a second a core loads."""

import os
import tempfile
import time

import numpy as np
import torch
from environment import publish
from unite_image.config import ImageConfig
from unite_image.data import open_dataset

BATCH = 256
SECONDS = 5.0


def main() -> None:
    torch.set_num_threads(1)
    config = ImageConfig(path="emoji", resolution=64, patch=8)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["UNITE_CACHE"] = cache
        start = time.perf_counter()
        open_dataset(config, "train")
        prepared = time.perf_counter()
        data = open_dataset(config, "train")
        opened = time.perf_counter()
        rng, loaded = np.random.default_rng(0), 0
        while time.perf_counter() < opened + SECONDS:
            loaded += len(data.batch(rng.integers(0, len(data), BATCH), loaded))
        stopped = time.perf_counter()
    row = {
        "training_images": len(data),
        "first_preparation_seconds": prepared - start,
        "opening_seconds": opened - prepared,
        "images_per_second_per_core": loaded / (stopped - opened),
    }
    publish("image_data_speed", [row], data=config.model_dump(mode="json"), batch=BATCH)


if __name__ == "__main__":
    main()
