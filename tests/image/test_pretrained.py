import pickle
from pathlib import Path

import pytest
import torch
from unite_core.errors import ConfigurationError
from unite_image.pretrained import PretrainedFile

FILE = PretrainedFile("https://example.org/models/net-0123abcd.pth", "do without")


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_missing_weights_say_what_where_and_what_else(offline):
    with pytest.raises(ConfigurationError) as caught:
        FILE.load(None)
    message = str(caught.value)
    for part in ("net-0123abcd.pth", FILE.url, str(offline / FILE.name), "do without"):
        assert part in message


def test_cached_file_is_read_without_network(offline):
    offline.mkdir(parents=True)
    torch.save({"weight": torch.arange(3)}, offline / FILE.name)
    assert FILE.load(None)["weight"].tolist() == [0, 1, 2]


def test_given_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.pth"):
        FILE.load(tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, 2))]
)
def test_pickle_that_would_execute_code_is_refused(tmp_path, save):
    path, touched = tmp_path / "evil.pth", tmp_path / "touched"
    save({"weight": Touch(touched)}, path)
    with pytest.raises(ConfigurationError, match="refused"):
        FILE.load(path)
    assert not touched.exists()


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 cut short"])
def test_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"damaged|net-0123abcd\.pth"):
        FILE.load(path)


def test_file_without_a_state_dict_is_named(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(ConfigurationError, match=r"tensor\.pth holds no state dict"):
        FILE.load(tmp_path / "tensor.pth")
