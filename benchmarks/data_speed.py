"""How long QM9 takes to prepare the first time, and to open ever after."""

import os
import tempfile
import time

from environment import publish
from unite_molecule.config import MoleculeConfig
from unite_molecule.data import open_dataset
from unite_molecule.prepare import open_store, prepare


def main() -> None:
    config = MoleculeConfig()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["UNITE_CACHE"] = cache
        start = time.perf_counter()
        report = prepare(config.source)
        prepared = time.perf_counter()
        open_store(config.source)
        opened = time.perf_counter()
        data = open_dataset(config, "train")
        split = time.perf_counter()
    row = {
        "molecules": report.kept,
        "first_preparation_seconds": prepared - start,
        "opening_seconds": opened - prepared,
        "training_molecules": len(data),
        "training_split_seconds": split - opened,
    }
    publish("data_speed", [row], data=config.model_dump(mode="json"))


if __name__ == "__main__":
    main()
