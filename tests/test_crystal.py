"""The analytic spin-lattice crystal: gradients, symmetries, figures of iron, bad parameters."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from dlintegrate import SpinLatticeCrystal, load, save
from dlintegrate._units import BOHR_MAGNETON, BOLTZMANN
from dlintegrate.systems import (
    BetheSlater,
    CubicAnisotropy,
    CubicExchange,
    EmbeddedAtom,
    FinnisSinclair,
    Morse,
    UniaxialAnisotropy,
)

ALLOY = {
    "element": ["Fe", "Ni", "Fe", "O"] * 4, "moment": {"Fe": 2.2, "Ni": 0.6, "O": 0.0},
    "mass": {"Fe": 55.845, "Ni": 58.693, "O": 15.999},
    "exchange": {"Fe-Fe": CubicExchange(), "Ni-Fe": BetheSlater(), "Fe-O": CubicExchange()},
    "pair_potential": {"Fe-Fe": Morse(), "Fe-Ni": Morse(0.5), "O-Fe": Morse(0.2, 1.5, 2.2)},
}  # fmt: skip
CRYSTALS = {
    "iron": {},
    "cut plainly": {"exchange": "bethe-slater", "pair_potential": Morse(cutoff=4.5, switch=0.0)},
    "switched": {"exchange": BetheSlater(cutoff=3.6, switch=0.7)},
    "embedded": {"pair_potential": "finnis-sinclair", "offset": False},
    "fcc": {"lattice": "fcc", "size": 1, "lattice_constant": 3.6},
    "anisotropic": {
        "field": (30.0, 0.0, 80.0),
        "anisotropy": [UniaxialAnisotropy(0.01, (1, 1, 0)), CubicAnisotropy(0.02, 0.05)],
    },
    "one cell": {"size": 1, "pair_potential": "finnis-sinclair"},
    "alloy": ALLOY,
}


def crystal(name="iron", **parameters):
    return SpinLatticeCrystal(**{"size": 2, **CRYSTALS[name], **parameters})


def configuration(system, seed=0, n_samples=1):
    states = system.random_states(n_samples, seed, order=0.5)
    return np.array(states[:, 0]), np.array(states[:, 2])


def derivative(function, array, index, step=1e-3):
    """Five-point difference with respect to one element of an array."""
    values = []
    for shift in (-2, -1, 1, 2):
        moved = array.copy()
        moved[index] += shift * step
        values.append(function(moved))
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def strained(system, strain):
    """The crystal with positions and cell deformed by ``1 + strain``."""
    deform = np.eye(3) + strain
    parameters = {**system.get_params(deep=False), "cell_vectors": system.cell @ deform.T}
    parameters["positions"] = system.reference_positions @ deform.T
    return SpinLatticeCrystal(**parameters), deform


def aligned(system):
    positions = np.array(system.reference_positions)[None]
    spins = np.zeros_like(positions)
    spins[..., 2] = system.moments
    return positions, spins


@pytest.mark.parametrize("name", CRYSTALS)
class TestGradients:
    def test_the_force_is_the_gradient_of_the_energy(self, name, rng):
        system = crystal(name)
        positions, spins = configuration(system)
        force = system.compute(positions, spins).force
        for _ in range(6):
            index = (0, rng.integers(system.n_sites), rng.integers(3))
            slope = derivative(lambda x: system.compute(x, spins).energy[0], positions, index)
            assert slope == pytest.approx(-force[index], abs=1e-6 * np.abs(force).max())

    def test_the_magnetic_force_is_the_gradient_with_respect_to_the_spins(self, name, rng):
        system = crystal(name)
        positions, spins = configuration(system)
        field = system.compute(positions, spins).magnetic_force
        for _ in range(6):
            index = (0, rng.integers(system.n_sites), rng.integers(3))
            slope = derivative(lambda s: system.compute(positions, s).energy[0], spins, index)
            assert slope == pytest.approx(-field[index], abs=1e-6 * np.abs(field).max())

    def test_the_virial_is_the_derivative_with_respect_to_strain(self, name):
        system = crystal(name)
        positions, spins = configuration(system)
        virial = system.compute(positions, spins, virial=True).virial[0]

        def energy(strain):
            other, deform = strained(system, strain)
            return other.compute(positions @ deform.T, spins).energy[0]

        for index in ((0, 0), (1, 2), (2, 1), (0, 2)):
            slope = derivative(energy, np.zeros((3, 3)), index, 1e-4)
            assert slope == pytest.approx(-virial[index], abs=1e-6 * np.abs(virial).max())


class TestEnergy:
    def test_of_a_pair_is_the_sum_of_its_laws(self):
        exchange, pair = BetheSlater(), Morse(switch=0.0)
        box = 30 * np.eye(3)
        system = SpinLatticeCrystal(
            positions=[[0, 0, 0], [2.4, 0, 0]], cell_vectors=box, exchange=exchange,
            pair_potential=pair,
        )  # fmt: skip
        spins = 2.2 * np.array([[[0, 0, 1.0], [0, np.sin(0.3), np.cos(0.3)]]])
        energy = system.compute(np.array(system.reference_positions)[None], spins).energy[0]
        u = (2.4 / 1.841) ** 2
        coupling = 4 * 0.02726 * u * (1 - 0.2171 * u) * np.exp(-u)
        decay = np.exp(-1.3885 * (2.4 - 2.845))
        expected = 0.4174 * (decay**2 - 2 * decay) - coupling * (np.cos(0.3) - 1)
        assert energy == pytest.approx(expected, rel=1e-11)

    @pytest.mark.parametrize("law", [CubicExchange(), BetheSlater(), BetheSlater(switch=0.5),
                                     Morse(), Morse(switch=0), Morse(cutoff=9.0)])  # fmt: skip
    def test_of_a_pair_comes_from_a_table_within_1e_11(self, law):
        box = 30 * np.eye(3)
        system = SpinLatticeCrystal(
            positions=np.zeros((2, 3)), cell_vectors=box, exchange=None, pair_potential=law
        )
        distances = np.append(np.linspace(0.8, law.cutoff, 400)[:-1], law.cutoff - 1e-9)
        positions = np.zeros((400, 2, 3))
        positions[:, 1, 1] = distances
        known = system.compute(positions, np.zeros_like(positions))
        value, slope = law.evaluate(distances)
        assert known.energy == pytest.approx(value, abs=1e-11 * max(1, np.abs(value).max()))
        assert known.force[:, 0, 1] == pytest.approx(slope, abs=1e-10 * max(1, abs(slope).max()))
        positions[:, 1, 1] = law.cutoff
        assert not system.compute(positions, np.zeros_like(positions)).energy.any()

    def test_of_finnis_and_sinclairs_iron(self):
        system = SpinLatticeCrystal(size=2, pair_potential="finnis-sinclair")
        known = system.compute(*aligned(system), virial=True)
        assert known.energy[0] / 16 == pytest.approx(-4.28, abs=1e-4)
        assert np.abs(known.virial).max() / 16 < 1e-5  # at the lattice constant: no pressure

    def test_in_a_field_is_that_of_the_moments(self):
        system = crystal(field=(0.0, 0.0, 10.0))
        gain = system.compute(*aligned(system)).energy - crystal().compute(*aligned(system)).energy
        assert gain[0] == pytest.approx(-16 * 2.2 * 10 * BOHR_MAGNETON, rel=1e-9)

    def test_the_offset_is_the_exchange_of_aligned_spins(self):
        with_offset, without = (crystal(exchange=CubicExchange(), offset=o) for o in (True, False))
        positions, spins = aligned(with_offset)
        gain = (without.compute(positions, spins).energy
                - with_offset.compute(positions, spins).energy)[0]  # fmt: skip
        shells = np.array([0.89 * (1 - r * 2.8665 / 3.75) ** 3 for r in (np.sqrt(0.75), 1.0)])
        assert gain == pytest.approx(-16 * 0.5 * (8 * shells[0] + 6 * shells[1]), rel=1e-10)

    def test_anisotropies_are_those_of_their_formulas(self):
        system = crystal(
            exchange=None, pair_potential=None,
            anisotropy=[UniaxialAnisotropy(0.3, (0, 0, 5.0)), CubicAnisotropy(0.2, 0.7)],
        )  # fmt: skip
        positions, spins = configuration(system)
        x, y, z = (spins[0] / 2.2).T
        cubic = 0.2 * (x * x * y * y + y * y * z * z + z * z * x * x) + 0.7 * (x * y * z) ** 2
        expected = np.sum(-0.3 * z * z + cubic)
        assert system.compute(positions, spins).energy[0] == pytest.approx(expected, rel=1e-12)

    def test_of_a_supercell_is_that_of_the_cell_times_their_number(self):
        small, large = (
            SpinLatticeCrystal(size=n, pair_potential=p).compute
            for n, p in ((1, "finnis-sinclair"), (3, "finnis-sinclair"))
        )
        one = small(*aligned(SpinLatticeCrystal(size=1))).energy[0] / 2
        assert large(*aligned(SpinLatticeCrystal(size=3))).energy[0] / 54 == pytest.approx(one)

    def test_of_samples_does_not_depend_on_their_batch_or_their_history(self):
        system = crystal()
        positions, spins = configuration(system, n_samples=3)
        together = system.compute(positions, spins)
        shaken = positions + np.random.default_rng(1).uniform(-0.2, 0.2, positions.shape)
        system.compute(shaken, spins)
        later = system.compute(positions, spins)
        alone = crystal().compute(positions[1:2], spins[1:2])
        for a, b, c in zip(together[:3], later[:3], alone[:3], strict=True):
            assert (a == b).all() and (a[1] == c[0]).all()

    def test_of_a_lost_sample_is_nan_and_the_others_go_on(self):
        system = crystal()
        positions, spins = configuration(system, n_samples=2)
        good = system.compute(positions, spins)
        positions[0, 3, 1] = np.nan
        known = system.compute(positions, spins)
        assert np.isnan(known.energy[0]) and np.isnan(known.force[0]).all()
        assert known.energy[1] == good.energy[1]


def rotation(rng):
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return turn * np.sign(np.linalg.det(turn))


SEEDS = st.integers(0, 2**32 - 1)


class TestSymmetries:
    @settings(max_examples=5, deadline=None)
    @given(seed=SEEDS, name=st.sampled_from(["iron", "embedded", "alloy"]))
    def test_rotating_positions_cell_and_spins_together_rotates_the_forces(self, seed, name):
        system, rng = crystal(name), np.random.default_rng(seed)
        turn = rotation(rng)
        other, _ = strained(system, turn - np.eye(3))
        positions, spins = configuration(system, rng)
        known = system.compute(positions, spins, virial=True)
        turned = other.compute(positions @ turn.T, spins @ turn.T, virial=True)
        assert turned.energy == pytest.approx(known.energy, rel=1e-10)
        assert turned.force == pytest.approx(known.force @ turn.T, abs=1e-10)
        assert turned.magnetic_force == pytest.approx(known.magnetic_force @ turn.T, abs=1e-10)
        assert turned.virial == pytest.approx(turn @ known.virial @ turn.T, abs=1e-9)

    @settings(max_examples=5, deadline=None)
    @given(seed=SEEDS, name=st.sampled_from(["iron", "embedded", "alloy"]))
    def test_inversion_of_positions_turns_the_forces_and_keeps_the_fields(self, seed, name):
        system = crystal(name)
        positions, spins = configuration(system, seed)
        known, inverted = system.compute(positions, spins), system.compute(-positions, spins)
        assert inverted.energy == pytest.approx(known.energy, rel=1e-10)
        assert inverted.force == pytest.approx(-known.force, abs=1e-10)
        assert inverted.magnetic_force == pytest.approx(known.magnetic_force, abs=1e-10)

    @settings(max_examples=5, deadline=None)
    @given(seed=SEEDS, name=st.sampled_from(sorted(CRYSTALS)))
    def test_every_declared_symmetry_of_the_energy_holds(self, seed, name):
        system, rng = crystal(name), np.random.default_rng(seed)
        states = system.random_states(1, rng, order=0.5)
        energy = system.potential_energy(states)
        for symmetry in sorted(system.symmetries):
            moved = system.symmetry_action(symmetry, rng)(states, 0.0)
            assert system.potential_energy(moved) == pytest.approx(energy, rel=1e-10), symmetry

    def test_only_pure_exchange_lets_spins_turn_alone(self, rng):
        turn = rotation(rng)
        for name in CRYSTALS:
            system = crystal(name)
            positions, spins = configuration(system)
            change = (
                system.compute(positions, spins @ turn.T).energy
                - system.compute(positions, spins).energy
            )
            assert (np.abs(change[0]) < 1e-10) == system.separate_rotation, name
            assert ("magnetization" in system.invariants) == system.separate_rotation

    def test_a_field_breaks_time_reversal_and_anisotropy_does_not(self):
        assert "time_reversal" not in crystal(field=(0, 0, 1.0)).symmetries
        assert "time_reversal" in crystal(anisotropy=UniaxialAnisotropy(0.1)).symmetries
        assert "momentum" in crystal(field=(0, 0, 1.0)).invariants

    @pytest.mark.parametrize("name", CRYSTALS)
    def test_forces_add_up_to_zero(self, name):
        system = crystal(name)
        assert np.abs(system.compute(*configuration(system)).force.sum(axis=1)).max() < 1e-12

    def test_torques_add_up_to_zero_for_pure_exchange(self):
        system = crystal("embedded")
        positions, spins = configuration(system)
        torque = np.cross(spins, system.compute(positions, spins).magnetic_force)
        assert np.abs(torque.sum(axis=1)).max() < 1e-12


class TestBonds:
    @pytest.mark.parametrize("name", ["iron", "one cell", "embedded", "alloy"])
    def test_give_the_magnetic_forces(self, name):
        system = crystal(name)
        positions, spins = configuration(system, n_samples=2)
        pairs, coupling = system.exchange_bonds(positions)
        field = np.zeros((2 * system.n_sites, 3))
        np.add.at(field, pairs.first, coupling[:, None] * spins.reshape(-1, 3)[pairs.second])
        expected = system.compute(positions, spins).magnetic_force
        assert field.reshape(spins.shape) == pytest.approx(expected, abs=1e-14)

    def test_are_there_twice_and_equal(self):
        pairs, coupling = crystal("alloy").exchange_bonds(configuration(crystal("alloy"))[0])
        ends = np.column_stack([pairs.first, pairs.second])
        forth = np.column_stack([ends, pairs.offset.round(6) + 0.0])
        back = np.column_stack([ends[:, ::-1], -pairs.offset.round(6) + 0.0])
        forth, back = (np.lexsort(x.T) for x in (forth, back))
        assert coupling[forth] == pytest.approx(coupling[back], abs=1e-14)

    def test_are_everything_only_without_field_and_anisotropy(self):
        assert crystal().has_bonds and not crystal("anisotropic").has_bonds


@numba.njit(error_model="numpy")
def heat_bath(spins, starts, second, coupling, n_sweeps, rng):
    """Moments of |m|² in the canonical ensemble; couplings in units of kT."""
    mean, square = 0.0, 0.0
    for sweep in range(n_sweeps):
        for i in range(len(spins)):
            x = y = z = 0.0
            for p in range(starts[i], starts[i + 1]):
                j = second[p]
                x += coupling[p] * spins[j, 0]
                y += coupling[p] * spins[j, 1]
                z += coupling[p] * spins[j, 2]
            size = np.sqrt(x * x + y * y + z * z)
            u = rng.random()
            along = (1 + np.log(u + (1 - u) * np.exp(-2 * size)) / size) / size
            a, b, c = rng.normal(0, 1), rng.normal(0, 1), rng.normal(0, 1)
            part = (a * x + b * y + c * z) / size**2
            a, b, c = a - part * x, b - part * y, c - part * z
            across = np.sqrt(max(0.0, 1 - (along * size) ** 2) / (a * a + b * b + c * c))
            spins[i, 0] = along * x + across * a
            spins[i, 1] = along * y + across * b
            spins[i, 2] = along * z + across * c
        if sweep >= n_sweeps // 10:
            m2 = np.sum((spins.sum(axis=0) / len(spins)) ** 2)
            mean += m2
            square += m2 * m2
    n = n_sweeps - n_sweeps // 10
    return mean / n, square / n


@pytest.mark.slow
def test_iron_loses_its_magnetisation_near_1043_kelvin(rng):
    # below the transition Binder's cumulant grows with the size, above it shrinks
    def cumulant(size, temperature, n_sweeps):
        system = SpinLatticeCrystal(size=size, pair_potential=None)
        pairs, coupling = system.exchange_bonds(np.array(system.reference_positions)[None])
        scaled = coupling * 2.2**2 / (BOLTZMANN * temperature)
        near = coupling != 0
        starts = np.append(0, np.cumsum(near))[pairs.starts]
        spins = np.zeros((system.n_sites, 3))
        spins[:, 2] = 1.0
        m2, m4 = heat_bath(spins, starts, pairs.second[near], scaled[near], n_sweeps, rng)
        return 1 - m4 / (3 * m2**2)

    growth = [cumulant(10, t, 4000) - cumulant(5, t, 16000) for t in (1000.0, 1110.0)]
    assert growth[0] > 0.005
    assert growth[1] < -0.03


class TestEmbeddedAtom:
    def test_from_functions_agrees_with_the_formula(self):
        law = FinnisSinclair()
        c, d, (c0, c1, c2) = law.pair_cutoff, law.density_cutoff, law.coefficients
        tables = EmbeddedAtom.from_functions(
            pair=lambda r: np.where(r < c, (r - c) ** 2 * (c0 + c1 * r + c2 * r * r), 0.0),
            density=lambda r: np.where(r < d, (r - d) ** 2 + law.beta * (r - d) ** 3 / d, 0.0),
            embedding=lambda rho: -law.amplitude * np.sqrt(rho),
            cutoff=d, max_density=60.0,
        )  # fmt: skip
        exact, tabulated = crystal("embedded"), crystal("embedded", pair_potential=tables)
        positions, spins = configuration(exact)
        one, other = exact.compute(positions, spins), tabulated.compute(positions, spins)
        assert other.energy == pytest.approx(one.energy, abs=1e-5)
        assert other.force == pytest.approx(one.force, abs=1e-5)

    def test_reads_both_forms_of_setfl_files(self, tmp_path):
        n, step = 40, 0.1
        r = step * np.arange(n)
        written = {"F": [np.arange(n) * 0.1, np.arange(n) * 0.2], "rho": {}, "phi": {}}
        for form, sites in (("alloy", 1), ("fs", 2)):
            lines = ["a", "b", "c", "2 Fe Ni", f"{n} 0.5 {n} {step} 3.9"]
            for source in range(2):
                lines += ["26 55.8 2.8 bcc", " ".join(f"{x:.9g}" for x in written["F"][source])]
                for site in range(sites):
                    values = (1 + source + 10 * site) * (r - 3.9) ** 2
                    written["rho"][form, site, source] = values
                    lines += [" ".join(f"{x:.9g}" for x in values)]
            for pair, factor in (((0, 0), 1.0), ((1, 0), 2.0), ((1, 1), 3.0)):
                written["phi"][pair] = factor * (r - 3.9) ** 2
                lines += [" ".join(f"{x:.9g}" for x in written["phi"][pair])]
            (tmp_path / form).write_text("\n".join(lines))
            law = EmbeddedAtom.from_setfl(tmp_path / form)
            assert law.elements == ("Fe", "Ni") and law.cutoff == 3.9
            assert law.embedding == pytest.approx(np.array(written["F"]))
            for site in range(2):
                for source in range(2):
                    known = written["rho"][form, site if sites == 2 else 0, source]
                    assert law.density[site, source] == pytest.approx(known)
            assert law.pair[0, 1] == pytest.approx(written["phi"][1, 0])
            assert law.pair[1, 0] == pytest.approx(written["phi"][1, 0])

    def test_refuses_other_files(self, tmp_path):
        (tmp_path / "short").write_text("a\nb\nc\n1 Fe\n10 0.1 10 0.1 1.0\n26 55 2.8 bcc\n0 0")
        with pytest.raises(ValueError, match=r"no setfl file.*expected 34"):
            EmbeddedAtom.from_setfl(tmp_path / "short")
        (tmp_path / "empty").write_text("")
        with pytest.raises(ValueError, match="no setfl file"):
            EmbeddedAtom.from_setfl(tmp_path / "empty")

    def test_refuses_elements_it_does_not_know(self):
        law = EmbeddedAtom(("Ni",), 3.0, 0.1, 0.1, *np.zeros((2, 1, 1, 31)), np.zeros((1, 9)))
        with pytest.raises(ValueError, match="'Fe' is not among the elements"):
            crystal(pair_potential=law).random_states(1)


class TestParameters:
    def test_lattices_have_their_neighbours(self):
        for lattice, n_atoms, nearest in (("sc", 27, 1.0), ("bcc", 54, np.sqrt(3) / 2),
                                          ("fcc", 108, np.sqrt(0.5))):  # fmt: skip
            system = SpinLatticeCrystal(lattice, size=3, lattice_constant=3.0)
            assert system.n_sites == n_atoms == len(system.species)
            states = system.random_states(1, order=1e9)
            assert system.closest_pair(states)[0] == pytest.approx(min(2.0, 3 * nearest)) or (
                3 * nearest > 2
            )
            assert np.linalg.det(system.cell) == pytest.approx(81.0 * 9)

    @pytest.mark.parametrize("name", CRYSTALS)
    def test_a_clone_and_a_saved_crystal_give_the_same_energy(self, name, tmp_path):
        system = crystal(name)
        positions, spins = configuration(system)
        save(system, tmp_path / "crystal.safetensors")
        energy = system.compute(positions, spins).energy
        for other in (clone(system), load(tmp_path / "crystal.safetensors")):
            assert other.compute(positions, spins).energy == energy

    def test_a_parameter_set_later_counts(self):
        system = crystal(exchange=CubicExchange())
        positions, spins = configuration(system)
        before = system.compute(positions, spins).energy
        system.set_params(exchange__strength=0.5)
        after = system.compute(positions, spins).energy
        assert after != before
        assert after == crystal(exchange=CubicExchange(0.5)).compute(positions, spins).energy

    def test_a_direction_of_arrays_may_be_set_anew(self):
        system = crystal(anisotropy=CubicAnisotropy(0.1, axes=tuple(np.eye(3))))
        positions, spins = configuration(system)
        before = system.compute(positions, spins).energy
        turned = tuple(np.eye(3) @ rotation(np.random.default_rng(0)))
        system.set_params(anisotropy__axes=turned)
        assert system.compute(positions, spins).energy != before

    def test_atoms_of_another_number_are_refused(self):
        system = crystal()
        positions, spins = configuration(system)
        for few in ((positions[:, 1:], spins), (positions, spins[:, 1:]), (positions[0], spins)):
            with pytest.raises(ValueError, match=r"expected \(n_samples, 16, 3\)"):
                system.compute(*few)
        with pytest.raises(ValueError, match="2 samples of positions and 1 of spins"):
            system.compute(np.repeat(positions, 2, axis=0), spins)
        with pytest.raises(ValueError, match=r"expected \(n_samples, 16, 3\)"):
            system.exchange_bonds(positions[:, 1:])

    def test_a_name_in_a_dict_stands_for_its_law(self):
        named = SpinLatticeCrystal(
            size=2, exchange={"Fe-Fe": "cubic"}, pair_potential={"Fe-Fe": "morse"}
        )
        states = named.random_states(2, random_state=0)
        np.testing.assert_array_equal(
            named.energy(states), SpinLatticeCrystal(size=2).energy(states)
        )

    def test_masses_and_moments_by_element(self):
        system = crystal("alloy")
        assert system.moments[:4].tolist() == [2.2, 0.6, 2.2, 0.0]
        assert system.masses[3] / system.masses[0] == pytest.approx(15.999 / 55.845)

    @pytest.mark.parametrize(
        "parameters, message",
        [
            ({"lattice": "hcp"}, "lattice='hcp': expected one of"),
            ({"size": 0}, "size=0: expected an int of at least 1"),
            ({"size": (2, 2)}, "size=.*three"),
            ({"lattice_constant": -1.0}, "lattice_constant=-1.0"),
            ({"element": ["Fe"] * 3}, "element names 3 atoms; the crystal has 16"),
            ({"mass": 0.0}, "mass=0.0: expected positive"),
            ({"moment": -2.0}, "moment=-2.0"),
            ({"moment": {"Ni": 0.6}}, "moment has no value for"),
            ({"exchange": "heisenberg"}, "exchange='heisenberg': expected one of"),
            ({"exchange": 0.5}, "exchange=0.5"),
            ({"exchange": {"Fe-Co": CubicExchange()}}, "key 'Fe-Co'"),
            (
                {"exchange": {"Fe-Fe": "heisenberg"}},
                r"exchange\['Fe-Fe'\]='heisenberg': expected one",
            ),
            ({"exchange": FinnisSinclair()}, "only be the whole pair_potential"),
            ({"pair_potential": {"Fe-Fe": "finnis-sinclair"}}, "only be the whole pair_potential"),
            (
                {"element": ["Fe", "Ni"] * 8, "exchange": {"Fe-Ni": "cubic", "Ni-Fe": "cubic"}},
                "exchange has the pair 'Ni-Fe' twice",
            ),
            ({"exchange": CubicExchange(cutoff=-1)}, "cutoff=-1"),
            ({"pair_potential": Morse(switch=9.0)}, "switch=9.0"),
            ({"pair_potential": UniaxialAnisotropy(1.0)}, "pair_potential="),
            ({"anisotropy": 0.1}, "anisotropy=0.1"),
            ({"anisotropy": UniaxialAnisotropy(1.0, (0, 0, 0))}, "axis="),
            ({"anisotropy": CubicAnisotropy(1.0, axes=np.ones((3, 3)))}, "axes="),
            ({"field": 1.0}, "field=1.0: expected three numbers"),
            ({"positions": np.zeros((2, 3))}, "without cell_vectors"),
            ({"cell_vectors": np.eye(3)}, "without positions"),
            ({"positions": np.zeros(3), "cell_vectors": np.eye(3)}, "positions have shape"),
            ({"positions": np.zeros((2, 3)), "cell_vectors": np.ones((3, 3))}, "span a volume"),
        ],
    )
    def test_bad_ones_are_refused_where_they_are_used(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            SpinLatticeCrystal(**{"size": 2, **parameters}).random_states(1)
