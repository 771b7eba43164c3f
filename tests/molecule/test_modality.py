import subprocess
import sys
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from unite_core.config import ObjectiveConfig
from unite_core.ema import averaged
from unite_core.errors import ConfigurationError
from unite_core.model import UniteModel
from unite_core.objective import JointObjective
from unite_molecule.config import MoleculeConfig, MoleculeSampleOptions
from unite_molecule.decoder import MoleculePrediction
from unite_molecule.formats import write_molecules
from unite_molecule.modality import MoleculeModality, lookup
from unite_molecule.pyg import to_pyg, to_pyg_batch
from unite_molecule.reconstruction import compare
from unite_molecule.types import Molecule

SMILES = ("CCO", "C", "CC#N", "NC=O")


def assert_same(a: Molecule, b: Molecule) -> None:
    for name in ("elements", "coordinates", "charges", "bonds"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def rng():
    return np.random.default_rng(0)


def test_sizes_follow_the_histogram(small_model):
    modality = small_model().modality
    sizes = modality.sample_layout(17_000, rng(), None).sizes
    found = Counter(sizes.tolist())
    assert set(found) == {1, 4, 7}
    for size, weight in ((1, 2 / 17), (4, 10 / 17), (7, 5 / 17)):
        assert found[size] / 17_000 == pytest.approx(weight, abs=0.015)


def test_generated_molecules_have_as_many_heavy_atoms(small_model):
    model = small_model()
    drawn = model.modality.sample_layout(12, np.random.default_rng(3), None).sizes
    made = model.generate(12, steps=2, seed=3, precision="no")
    assert [int((molecule.elements != 1).sum()) for molecule in made] == drawn.tolist()


def test_a_sample_does_not_depend_on_how_many_there_are(small_model):
    model = small_model().eval()
    few, many = (model.generate(n, steps=2, precision="no", seed=4) for n in (3, 9))
    for a, b in zip(few, many, strict=False):
        np.testing.assert_allclose(a.coordinates, b.coordinates, atol=1e-4)


def test_asked_size_is_made(small_model):
    modality = small_model().modality
    layout = modality.sample_layout(5, rng(), MoleculeSampleOptions(heavy_atoms=3))
    assert layout.sizes.tolist() == [3] * 5


def test_impossible_sizes_are_named(small_model):
    options = MoleculeSampleOptions(heavy_atoms=8)
    with pytest.raises(ConfigurationError, match="knows up to 7"):
        small_model().modality.sample_layout(1, rng(), options)
    with pytest.raises(ConfigurationError, match="one per atom"):
        small_model(layout="atom").modality.sample_layout(1, rng(), options)


def test_generated_molecules_lie_at_random(small_model):
    frame = small_model().modality.sample_layout(500, rng(), None).context
    assert frame.rotation.mean(0).abs().max() < 0.1
    assert not frame.origin.any()


def test_classes_are_found_by_value():
    table = lookup([-1, 0, 2], span=9)
    assert table[torch.tensor([-1, 0, 2, 1]) + 9].tolist() == [0, 1, 2, -1]


def exact(modality, target) -> MoleculePrediction:
    """What a perfect decoder would say of the target."""

    def sure(labels, classes):
        return 50.0 * torch.nn.functional.one_hot(labels, classes).float()

    elements = lookup(modality.elements, 118)[target.elements + 118].clamp(min=0)
    charges = lookup(modality.charges, 9)[target.charges + 9].clamp(min=0)
    return MoleculePrediction(
        elements=sure(elements, len(modality.elements)),
        charges=sure(charges, len(modality.charges)),
        hydrogens=sure(target.hydrogens, 5),
        coordinates=target.coordinates,
        offsets=target.offsets,
        bonds=sure(target.bonds, 4),
    )


@pytest.mark.parametrize("layout", ["heavy", "atom"])
def test_a_perfect_prediction_gives_the_molecules_back(small_model, build, layout):
    model = small_model(layout=layout)
    molecules = [build(smiles) for smiles in SMILES]
    batch = model.modality.collate(molecules)
    context = model.tokenizer(batch).context
    prediction = exact(model.modality, context.target)
    made = model.modality.finish(prediction, model.modality.layout(batch), context)
    for found, original in zip(made, molecules, strict=True):
        np.testing.assert_array_equal(found.elements, original.elements)
        np.testing.assert_array_equal(found.charges, original.charges)
        assert sorted(found.bonds.tolist()) == sorted(original.bonds.tolist())
        # those of one atom in the frame's order
        nearest = cdist(found.coordinates, original.coordinates)
        assert nearest.min(1).max() < 1e-4
        assert sorted(nearest.argmin(1)) == list(range(len(original)))
        assert (original.elements[nearest.argmin(1)] == found.elements).all()
    total, _ = model.modality.reconstruction_loss(prediction, batch, context)
    assert float(total.detach()) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("layout", ["heavy", "atom"])
def test_originals_are_the_collated_molecules(small_model, build, layout):
    modality = small_model(layout=layout).modality
    molecules = [build(smiles) for smiles in SMILES]
    for found, original in zip(
        modality.originals(modality.collate(molecules)), molecules, strict=True
    ):
        np.testing.assert_array_equal(found.elements, original.elements)
        np.testing.assert_allclose(found.coordinates, original.coordinates, atol=1e-5)


def test_pyg_data_is_accepted(small_model, build):
    modality = small_model().modality
    molecules = [build(smiles) for smiles in SMILES]
    for given in ([to_pyg(m) for m in molecules], to_pyg_batch(molecules)):
        accepted, refused = modality.accept(given)
        assert not refused
        for found, original in zip(accepted, molecules, strict=True):
            assert_same(found, original)


def test_unusable_pyg_data_is_counted(small_model, build):
    broken = to_pyg(build("CCO"))
    del broken.edge_attr
    accepted, refused = small_model().modality.accept([broken, build("C")])
    assert refused == {"this Data has no edge_attr": 1}
    assert len(accepted) == 1


def test_statistics_are_the_training_splits(build, tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    molecules = [build(smiles) for smiles in ("CCO", "C", "CC#N", "NC=O", "OO", "CF")]
    write_molecules(molecules, tmp_path / "own.sdf")
    config = MoleculeConfig(source=str(tmp_path / "own.sdf"))
    statistics = MoleculeModality.measure(config)
    modality = MoleculeModality(config, statistics)
    trained = modality.originals(modality.dataset("train").batch(np.arange(3), None))
    held_out = len(molecules) - statistics["molecules"]
    assert held_out >= 0
    assert sum(statistics["sizes"].values()) == statistics["molecules"]
    assert statistics["charges"] == [0]
    heavy = {int(e) for m in trained for e in m.elements if e != 1}
    assert heavy <= set(statistics["elements"])
    assert modality.registers() == max(map(int, statistics["sizes"]))


@pytest.mark.parametrize("kind", ["augmented", "inertial", "ordered", "equivariant"])
def test_saved_models_come_back(small_model, batch_of, tmp_path, kind):
    model, batch = small_model(kind), batch_of(*SMILES)
    model.save_pretrained(tmp_path)
    loaded = UniteModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded.tokenize(batch).z, model.tokenize(batch).z, atol=0, rtol=0)
    pairs = zip(loaded.generate(3, steps=2), model.generate(3, steps=2), strict=True)
    for a, b in islice(pairs, 3):
        assert_same(a, b)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "frame"), [("ordered", {}), ("equivariant", {"stem": {"random_frames": 0.0}})]
)
def test_one_batch_overfits(small_model, batch_of, kind, frame):
    """Without random frames, and so without collinear heavy atoms, which need some."""
    model = small_model(kind, width=64, **frame).train()
    batch = batch_of("CCO", "CC=N", "NC=O", "CC(C)O", "c1ccoc1", "C1CC1")
    objective = JointObjective(model, ObjectiveConfig(draws=1, decoder_noise=None, flow_weight=0.1))
    steps = 600
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(steps):
        objective(batch).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    made = model.eval().reconstruct(batch)
    results = [compare(a, b) for a, b in zip(model.modality.originals(batch), made, strict=True)]
    assert all(result.match for result in results)
    assert max(result.rmsd for result in results) < 0.02


@pytest.mark.slow
def test_a_single_molecule_can_be_scored(qm9):
    known = qm9.store[int(qm9.rows[0])]
    rows = MoleculeModality.score(MoleculeConfig(), [known], None)
    assert rows["samples"]["molecules"] == 1
    assert rows["samples"]["strict_valid_unique"] == 1.0
    assert rows["samples"]["strict_valid_unique_novel"] == 0.0
    assert rows["data"]["molecules"] == 1000
    assert rows["data"]["bond_length_distance"] < 0.01


def test_the_learned_frame_can_be_averaged(small_model):
    """e3nn's modules list their buffers in another order once they are copied."""
    model = small_model("equivariant")
    average = averaged(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    average.update_parameters(model)
    copied = dict(average.module.named_parameters())
    assert all(torch.equal(copied[name], value) for name, value in model.named_parameters())


def test_the_average_of_a_learned_frame_can_be_saved(small_model, tmp_path):
    model = small_model("equivariant")
    averaged(model, 0.9).module.save_pretrained(tmp_path)
    loaded = dict(UniteModel.from_pretrained(tmp_path).named_parameters())
    assert all(torch.equal(loaded[name], value) for name, value in model.named_parameters())


@pytest.mark.parametrize("kind", ["ordered", "equivariant"])
def test_interpolation_goes_from_one_reconstruction_to_the_other(small_model, build, kind):
    model = small_model(kind).eval()
    batch = model.modality.collate([build("CCO"), build("CCN")])
    between = model.interpolate(batch, 4)
    start, end = model.reconstruct(batch)
    assert len(between) == 4
    for made, expected in ((between[0], start), (between[-1], end)):
        np.testing.assert_array_equal(made.elements, expected.elements)
        np.testing.assert_allclose(made.coordinates, expected.coordinates, atol=1e-4)


def test_what_few_need_is_not_imported():
    """Two seconds each: PyG, the equivariant stem, the compiler that both bring along."""
    slow = {"torch_geometric", "e3nn", "torch._dynamo", "torchdiffeq"}
    modules = "unite_molecule.modality, unite_core.evaluation, unite_core.latents"
    code = f"import sys, {modules}; sys.exit(str({slow} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.strip() == "set()"
