"""UNITE for 3D molecules."""

import warnings
from pathlib import Path

from unite_core.plugins import INTERFACE_VERSION, Plugin

from unite_molecule.config import MoleculeConfig, MoleculeSampleOptions

# e3nn compiles its functions in the old way, and every command would say so
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)

HERE = Path(__file__).parent

plugin = Plugin(
    name="molecule",
    interface_version=INTERFACE_VERSION,
    config=MoleculeConfig,
    sample_options=MoleculeSampleOptions,
    trained_for=("layout", "frame", "decoder"),
    implementation="unite_molecule.modality:MoleculeModality",
    suffixes=(".sdf", ".xyz"),
    writes=(".sdf", ".xyz", ".smi", ".csv"),
    archives=(".sdf", ".xyz"),
    packages=("rdkit", "posebusters", "unite-molecule"),
    recipes=HERE / "recipes",
    weights=HERE / "weights",
)
