import time
from dataclasses import replace

import numpy as np
import pytest
from unite_molecule import metrics
from unite_molecule.chemistry import Verdict, assess
from unite_molecule.metrics import by_distance, memorised, score_table
from unite_molecule.reconstruction import hydrogens


@pytest.fixture
def table(build, without):
    """Two good copies, one without a hydrogen and one in two pieces; two held-out ones."""
    ethanol, pieces = build("CCO"), build("CCN.O")
    oxygen = int(np.flatnonzero(pieces.elements == 8)[0])
    pieces.coordinates[[oxygen, *hydrogens(pieces)[oxygen]]] += 10
    samples = [ethanol, ethanol, without(ethanol, -1), pieces]
    return score_table(samples, [build("CCC"), build("CCN")], {"CCN"}, set(), subset=2)


def test_shares_are_of_all_samples(table):
    row = table["samples"]
    assert row["molecules"] == 4
    assert row["molecule_stable"] == 0.75
    assert row["atom_stable"] == pytest.approx(1 - 1 / (9 + 9 + 8 + 13))
    assert row["adit_valid"] == 1.0
    assert row["adit_valid_unique"] == 0.5
    assert row["strict_valid"] == row["geometry_strict_valid"] == 0.5
    assert row["strict_valid_unique"] == row["strict_valid_unique_novel"] == 0.25
    assert row["unique_among_valid"] == 0.5


def test_bonds_that_the_geometry_does_not_show_are_noticed(build):
    whole = build("CCO")
    lacking = replace(whole, bonds=whole.bonds[1:])
    assert by_distance([whole, lacking])["bonds_as_distances"] == 0.5


def test_posebusters_judges_a_stated_subset(table):
    # the first sample passes, the last is in two pieces
    assert table["samples"]["posebusters_molecules"] == 2
    assert table["samples"]["posebusters"] == 0.5


def test_data_row_is_judged_alike(table):
    row = table["data"]
    assert list(table) == ["samples", "data"]
    assert list(row) == list(table["samples"])
    assert row["strict_valid"] == row["molecule_stable"] == row["edm_valid"] == 1.0
    assert row["strict_valid_unique_novel"] == 0.5


def test_held_out_molecules_are_made_as_often_as_known_ones_where_nothing_is_memorised():
    known = {f"known {i}" for i in range(200)}
    unseen = {f"unseen {i}" for i in range(50)}

    def rate(old: int, new: int, *others: Verdict) -> float | None:
        smiles = sorted(known)[:old] + sorted(unseen)[:new] + ["of no set"]
        made = [Verdict(True, True, one) for one in smiles]
        return memorised(made + made + list(others), known, unseen).get("held_out_rate")

    assert rate(40, 10) == 1.0
    assert rate(80, 5) == 0.25
    assert rate(40, 0) == 0.0
    invalid = Verdict(True, False, "unseen 49")
    assert rate(40, 10, invalid) == 1.0
    assert rate(39, 50) is None  # ten would be chance
    assert rate(0, 50) is None


def test_samples_are_told_from_known_and_unseen_ones(build, monkeypatch):
    known = {build("CCO").smiles}
    unseen = {build("CCN").smiles}
    monkeypatch.setattr(metrics, "FEWEST", 1)
    table = score_table([build("CCO"), build("CCN")], [build("CCC")], known, unseen, subset=1)
    assert table["samples"]["held_out_rate"] == 1.0
    assert "held_out_rate" not in table["data"]


def test_one_held_out_molecule_is_enough(build):
    table = score_table([build("CCO")], [build("CCC")], set(), set(), subset=1)
    assert table["samples"]["bond_length_distance"] > 0
    assert "bond_length_distance" not in table["data"]


@pytest.mark.slow
def test_real_qm9_reaches_its_known_ceiling():
    from unite_molecule.prepare import open_store

    store = open_store("qm9")
    rows = np.random.default_rng(0).choice(len(store), 1000, replace=False)
    molecules = [store[int(row)] for row in rows]
    started = time.monotonic()
    row = score_table(molecules, molecules, set(), set(), subset=10)["data"]
    assert time.monotonic() - started < 60
    assert 0.94 <= row["molecule_stable"] <= 0.965
    assert 0.97 <= row["edm_valid"] <= 0.99
    assert row["strict_valid"] > 0.99
    assert row["posebusters"] >= 0.7
    moved = [replace(m, coordinates=m.coordinates + np.float32(5.0)) for m in molecules[:10]]
    assert [assess(m) for m in moved] == [assess(m) for m in molecules[:10]]
