from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from unite_image.types import Image


@pytest.fixture(scope="session")
def pictures() -> Callable[..., list[Image]]:
    """Random images."""

    def make(count: int, side: int = 8, channels: int = 3, seed: int = 0) -> list[Image]:
        rng = np.random.default_rng(seed)
        arrays = rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
        return [Image(array, label) for label, array in enumerate(arrays)]

    return make


@pytest.fixture
def pooled():
    """A small network: its features are the mean colours of an image's quarters."""
    from unite_image.features import Encoded, FeatureNetwork

    class Pooled(FeatureNetwork):
        name = "pooled"
        width = 12

        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(1 / 255), requires_grad=False)

        def forward(self, pixels: Tensor) -> Encoded:
            features = adaptive_avg_pool2d(pixels * self.scale, 2).flatten(1)
            return Encoded(features, features[:, :3])

    return Pooled()


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub on a machine without network."""

    def fail(*args: object, **options: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture(scope="session")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of an untrained SqueezeNet, in the published file's form."""
    from torchvision.models import squeezenet1_1

    path = tmp_path_factory.mktemp("trunk") / "squeezenet.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(squeezenet1_1(weights=None).state_dict(), path)
    return path
