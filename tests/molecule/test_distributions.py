from dataclasses import replace

import numpy as np
import pytest
from unite_molecule.distributions import distances, shapes


def test_shapes_of_methane(build):
    methane = shapes([build("C")])
    assert methane["bond_length"] == pytest.approx(np.full(4, 1.09), abs=0.02)
    assert methane["angle"] == pytest.approx(np.full(6, 109.47), abs=0.1)
    assert len(methane["torsion"]) == 0
    assert methane["size"].tolist() == [5]


def test_torsions_of_ethane_are_staggered(build):
    torsions = np.sort(shapes([build("CC")])["torsion"])
    assert torsions == pytest.approx([60.0] * 6 + [180.0] * 3, abs=1.0)


def test_three_membered_rings_have_no_torsion_within(build):
    assert len(shapes([build("C1CC1")])["torsion"]) == 3 * 4 + 3 * 2 * 2


def test_molecules_end_to_end_are_counted_apart(build):
    ethanol, methane = build("CCO"), build("C")
    both = shapes([ethanol, methane])
    for name, values in shapes([ethanol]).items():
        assert len(both[name]) == len(values) + len(shapes([methane])[name])


def test_distances_to_oneself_are_zero(build):
    molecules = [build("CCO"), build("CCN")]
    assert set(distances(molecules, molecules).values()) == {0.0}


def test_distances_see_a_stretch(build):
    ethanol = build("CCO")
    long = replace(ethanol, coordinates=ethanol.coordinates * np.float32(1.1))
    table = distances([long], [ethanol])
    assert table["bond_length_distance"] == pytest.approx(
        0.1 * shapes([ethanol])["bond_length"].mean(), rel=1e-4
    )
    assert table["angle_distance"] == pytest.approx(0.0, abs=1e-3)


def test_element_distance_is_the_total_variation(build):
    table = distances([build("C")], [build("O")])
    assert table["element_distance"] == pytest.approx(1 / 3)


def test_distance_of_what_is_missing_is_infinite(build):
    ethanol = build("CCO")
    unbound = replace(ethanol, bonds=ethanol.bonds[:0])
    assert distances([unbound], [ethanol])["angle_distance"] == float("inf")
