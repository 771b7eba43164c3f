"""Loss curves of 100 updates that are kept with the tests, so that a change of numbers is noticed.

A folder holds recipe.yaml, the data that it names, and curve.json. As a script it makes the last:
python tests/golden_curve.py FOLDER
"""

import json
import platform
import sys
from collections.abc import Mapping
from contextlib import chdir
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch
from unite_core.cli.train import run
from unite_core.recipes import load_recipe

VALUES = ("loss", "reconstruction", "flow", "gradient_norm")
TINY = 1e-12
"""Takes the place of zero, which the flow loss of untrained weights is, as a divisor."""
PACKAGES = ("numpy", "rdkit", "torch")
"""Those whose versions the numbers depend on."""
FEATURES = ("cpu family", "model", "cache size", "flags")

MOVED = """{value} is {apart:.2g} away at step {step}, and {tolerance:.2g} is allowed ({kind}).
If no number was meant to change, the last change is at fault. If one was, write the curve anew with
  python tests/golden_curve.py {folder}
and say in the commit's message why it moved."""


def machine() -> dict[str, str]:
    """What the last bits of a sum depend on."""
    return {
        "processor": processor(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def processor() -> str:
    """The processor's model with a hash of its features, which choose the kernels, on Linux."""
    cpus = Path("/proc/cpuinfo")
    first = cpus.read_text().split("\n\n")[0] if cpus.is_file() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    features = "|".join(facts[name] for name in FEATURES if name in facts)
    digest = blake2b(features.encode(), digest_size=4).hexdigest()
    return f"{facts.get('model name', platform.processor())} ({digest})"


def train(folder: Path) -> dict[str, list[float]]:
    """What a folder's recipe logs at each update, on one thread."""
    threads = torch.get_num_threads()
    with TemporaryDirectory() as place, chdir(folder):
        output = Path(place) / "run"
        output.mkdir()
        config = load_recipe("recipe.yaml").model_copy(update={"output": output})
        torch.set_num_threads(1)
        try:
            with mock.patch.dict("os.environ", {"UNITE_CACHE": place}):
                run(config, None)
        finally:
            torch.set_num_threads(threads)
        rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return {name: [row[name] for row in rows] for name in VALUES}


def check(folder: Path, elsewhere: float) -> None:
    """Fails where a folder's recipe no longer gives its curve: the very numbers on the machine that
    wrote it, with a relative difference of at most `elsewhere` on others.
    """
    golden = json.loads((folder / "curve.json").read_text())
    same = machine() == golden["machine"]
    tolerance, kind = (0.0, "same machine") if same else (elsewhere, "another machine")
    for value, found in train(folder).items():
        kept = np.array(golden[value])
        assert len(found) == len(kept), (
            f"{len(found)} updates, and the golden curve has {len(kept)}"
        )
        apart = np.abs(np.array(found) - kept) / np.maximum(np.abs(kept), TINY)
        worst = {"value": value, "step": apart.argmax() + 1, "apart": apart.max()}
        allowed = {"tolerance": tolerance, "kind": kind, "folder": folder}
        assert apart.max() <= tolerance, MOVED.format(**worst, **allowed)


def write(folder: Path) -> None:
    """Makes curve.json, a line for each value."""
    curve: Mapping[str, Any] = {"machine": machine(), **train(folder)}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in curve.items()]
    (folder / "curve.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
