"""Weights of published networks: from a given file, torch hub's cache, or the web."""

import pickle
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.hub import get_dir, load_state_dict_from_url
from unite_core.errors import ConfigurationError


@dataclass(frozen=True)
class PretrainedFile:
    """Weights at `url`. `remedies` says which setting names a local copy and what works without."""

    url: str
    remedies: str

    @property
    def name(self) -> str:
        """The file's name, as torch hub stores it."""
        return self.url.rsplit("/", 1)[1]

    @property
    def cached(self) -> Path:
        """Where torch hub keeps it."""
        return Path(get_dir()) / "checkpoints" / self.name

    def load(self, given: Path | None) -> dict[str, Tensor]:
        """The state dict, on the CPU; no pickled code is executed.

        ConfigurationError where there is no such file and no network, or it is damaged or unsafe.
        """
        path = self.cached if given is None else given
        try:
            weights = self.read(given)
        except pickle.UnpicklingError as error:
            raise ConfigurationError(
                f"{path} is refused: it holds more than tensors, or is damaged; "
                f"get {self.name} from {self.url}"
            ) from error
        except (OSError, EOFError, RuntimeError) as error:
            raise ConfigurationError(
                f"no weights {self.name} ({error}): download {self.url} to {self.cached}, "
                f"or {self.remedies}"
            ) from error
        if not isinstance(weights, dict):
            raise ConfigurationError(f"{path} holds no state dict; get {self.name} from {self.url}")
        return weights

    def read(self, given: Path | None) -> object:
        """What the file holds: the given one, else the cached one, downloaded first if need be."""
        if given is not None:
            return torch.load(given, map_location="cpu", weights_only=True)
        with redirect_stdout(sys.stderr):  # torch hub announces what it loads
            return load_state_dict_from_url(
                self.url, map_location="cpu", check_hash=True, weights_only=True
            )
