import subprocess
import sys
from dataclasses import replace

from PIL import Image
from unite_molecule.drawing import CELL, draw_grid, grid_svg


def test_grid_has_a_cell_for_each_molecule(build, tmp_path):
    path = tmp_path / "grid.png"
    draw_grid([build("CCO")] * 6, path)
    with Image.open(path) as picture:
        assert picture.size == (5 * CELL, 2 * CELL)
        assert len(set(picture.convert("L").get_flattened_data())) > 10


def test_a_grid_has_the_columns_that_it_is_asked_for(build, tmp_path):
    path = tmp_path / "grid.png"
    draw_grid([build("CCO")] * 6, path, columns=3)
    with Image.open(path) as picture:
        assert picture.size == (3 * CELL, 2 * CELL)


def test_invalid_molecules_are_drawn_and_marked(build, without):
    ethanol = build("CCO")
    bonds = ethanol.bonds.copy()
    bonds[:, 2] = 3
    unbound = replace(ethanol, bonds=ethanol.bonds[:0])
    for broken in (replace(ethanol, bonds=bonds), without(ethanol, -1), unbound):
        assert grid_svg([broken]) != grid_svg([ethanol])
        assert grid_svg([broken]).count("<path") > 5


def test_pictures_of_valid_molecules_leave_hydrogens_out(build):
    assert grid_svg([build("C1CCCCC1")]).count("bond-") == 6


BARE = """
import sys
from pathlib import Path

class WithoutX:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("rdkit.Chem.Draw"):
            raise ImportError("libXrender.so.1: cannot open shared object file")

sys.meta_path.insert(0, WithoutX())
from unite_core.errors import ConfigurationError
from unite_core.model import load_model
model = load_model("qm9-small")
samples = model.generate(4, steps=4)
assert len(samples) == 4
try:
    model.modality.preview(samples, Path("grid.png"))
except ConfigurationError as error:
    print(error)
"""


def test_only_drawings_need_the_libraries_of_x(tmp_path):
    command = [sys.executable, "-c", BARE]
    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "libXrender.so.1" in made.stdout
    assert "apt-get install libxrender1 libxext6" in made.stdout
