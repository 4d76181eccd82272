"""What all systems of atoms with moments share: neighbours, states, temperatures, health."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from dlintegrate import SpinLatticeCrystal
from dlintegrate._kernels import neighbours
from dlintegrate._kernels.neighbours import pairs_within
from dlintegrate._units import BOLTZMANN, GIGAPASCAL
from dlintegrate.systems import Morse, spin_temperature

POSITION, MOMENTUM, SPIN = range(3)
SEEDS = st.integers(0, 2**32 - 1)


def crystal(**parameters):
    return SpinLatticeCrystal(**{"size": 2, "pair_potential": "finnis-sinclair", **parameters})


def random_cell(rng, size=3.0):
    """A cell that is neither flat nor upright."""
    return size * (np.eye(3) + rng.uniform(-0.3, 0.3, size=(3, 3)))


def distances(pairs, positions):
    flat = positions.reshape(-1, 3)
    return np.linalg.norm(flat[pairs.second] + pairs.offset - flat[pairs.first], axis=1)


def brute_force(positions, cell, cutoff):
    """All (i, j, distance) of one sample, by trying every image that may be near."""
    wrapped = (positions @ np.linalg.inv(cell)) % 1.0 @ cell
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = [range(-n, n + 1) for n in np.ceil(cutoff / heights).astype(int) + 1]
    images = np.array(list(product(*reach)))
    vectors = wrapped[None, :, None] + (images @ cell) - wrapped[:, None, None]
    r = np.linalg.norm(vectors, axis=-1)
    near = (r < cutoff) & (r > 0)
    return sorted((i, j, r[i, j, n]) for i, j, n in np.argwhere(near))


class TestNeighbours:
    @settings(max_examples=12, deadline=None)
    @given(seed=SEEDS, n_atoms=st.integers(1, 5), cutoff=st.floats(1.0, 6.0))
    def test_are_those_of_brute_force_in_small_and_oblique_cells(self, seed, n_atoms, cutoff):
        rng = np.random.default_rng(seed)
        cell = random_cell(rng)
        positions = rng.uniform(-6, 6, size=(2, n_atoms, 3))  # not wrapped
        pairs = pairs_within(positions, cell, cutoff)
        r = distances(pairs, positions)
        for s in range(2):
            own = (pairs.first >= s * n_atoms) & (pairs.first < (s + 1) * n_atoms)
            ends = (pairs.first[own] - s * n_atoms, pairs.second[own] - s * n_atoms)
            listed = sorted(zip(*ends, r[own], strict=True))
            expected = brute_force(positions[s], cell, cutoff)
            assert len(listed) == len(expected)
            assert np.array(listed or [[0, 0, 0]]) == pytest.approx(
                np.array(expected or [[0, 0, 0]]), abs=1e-9
            )

    def test_stand_in_one_order_whatever_the_age_of_the_list(self, rng):
        cell = 7.0 * np.eye(3)
        positions = rng.uniform(0, 7, size=(2, 20, 3))
        moved = positions + rng.uniform(-0.1, 0.1, size=positions.shape)
        pairs_within(positions, cell, 3.0, 0.8)
        old = pairs_within(moved, cell, 3.0, 0.8)
        fresh = pairs_within(moved, cell, 3.0)
        near = distances(old, moved) < 3.0
        assert len(old.first) > near.sum() == len(fresh.first)
        for kept, new in zip(old[:3], fresh[:3], strict=True):
            assert (kept[near] == new).all()

    def test_are_found_anew_after_half_the_skin(self):
        cell = 9.0 * np.eye(3)
        positions = np.array([[[0.0, 0, 0], [4.0, 0, 0]]])
        for _ in range(9):
            pairs = pairs_within(positions, cell, 3.0, 0.5)
            apart = positions[0, 1, 0] - positions[0, 0, 0]
            assert (distances(pairs, positions) < 3.0).sum() == (2 if apart < 3 else 0)
            positions[0, :, 0] += [0.11, -0.11]  # both move: their distance by twice as much

    def test_begin_where_starts_says(self, rng):
        positions = rng.uniform(0, 6, size=(2, 9, 3))
        pairs = pairs_within(positions, 6.0 * np.eye(3), 2.5)
        for a in range(18):
            assert (pairs.first[pairs.starts[a] : pairs.starts[a + 1]] == a).all()
        assert pairs.starts[-1] == len(pairs.first)

    def test_of_one_thread_do_not_disturb_another(self, rng, monkeypatch):
        cell = 8.0 * np.eye(3)
        slow, fast = rng.uniform(0, 8, size=(2, 2, 30, 3))
        begun, finished = threading.Event(), threading.Event()
        find = neighbours._list

        def waits_before_the_second_sample(positions, *rest):
            if (positions == slow[1]).all():
                begun.set()
                assert finished.wait(60)
            return find(positions, *rest)

        monkeypatch.setattr(neighbours, "_list", waits_before_the_second_sample)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(pairs_within, slow, cell, 3.0, 0.5)
            assert begun.wait(60)
            between = pairs_within(fast, cell, 3.0, 0.5)
            finished.set()
            found = waiting.result()
        for pairs, positions in ((found, slow), (between, fast)):
            alone = pairs_within(positions, cell, 3.5)
            assert all((a == b).all() for a, b in zip(pairs, alone, strict=True))

    def test_of_a_lost_sample_are_none(self, rng):
        positions = rng.uniform(0, 6, size=(2, 9, 3))
        cell = 6.0 * np.eye(3)
        whole = pairs_within(positions, cell, 2.5, 0.4)
        positions[0, 2] = np.nan
        for _ in range(2):
            pairs = pairs_within(positions, cell, 2.5, 0.4)
            assert (pairs.first >= 9).all()
            assert len(pairs.first) == (whole.first >= 9).sum()


class TestStates:
    def test_of_other_shapes_are_refused(self):
        system = crystal()
        states = system.random_states(2, 0)
        with pytest.raises(ValueError, match=r"expected \(3, n_atoms, 3\) = \(3, 16, 3\)"):
            system.validate(states[:, :, :-1])
        with pytest.raises(ValueError, match=r"samples\[None\]"):
            system.validate(states[0])
        with pytest.raises(ValueError, match="a state has 15 atoms"):
            system.resized((3, 15, 3))
        assert system.resized((3, 16, 3)) is system

    def test_with_bad_values_are_refused_and_named(self):
        system = crystal()
        states = system.random_states(3, 0)
        for variable, change, message in (
            (SPIN, 1.001, "whose length is not their moment in sample 1"),
            (POSITION, np.nan, "NaN or infinite values in sample 1"),
        ):
            bad = states.copy()
            bad[1, variable, 4] *= change
            with pytest.raises(ValueError, match=message):
                system.validate(bad)
        bad = states.copy()
        bad[2, POSITION, 0] = bad[2, POSITION, 1] + [0.5, 0, 0]
        with pytest.raises(ValueError, match=r"overlapping atoms in sample 2.*at 0\.5 Å"):
            system.validate(bad)

    def test_overlap_across_the_boundary(self):
        system = crystal()
        states = system.random_states(1, 0, order=1e9)
        states[0, POSITION, 5] = states[0, POSITION, 0] + system.cell[0] + [0.3, 0, 0]
        assert system.closest_pair(states)[0] == pytest.approx(0.3)
        with pytest.raises(ValueError, match="overlapping"):
            system.validate(states)

    def test_with_spins_off_by_rounding_of_single_precision_are_mended(self):
        system = crystal()
        states = system.random_states(2, 0)
        rounded = states.astype(np.float32)
        lengths = np.linalg.norm(system.validate(rounded)[:, SPIN], axis=-1)
        assert np.abs(lengths - 2.2).max() < 1e-14
        assert (system.validate(states) == states).all()

    def test_are_told_apart_by_their_labels(self):
        system = crystal()
        states = system.random_states(1, 0)
        order = ["spin", "position", "momentum"]
        dims = ("sample", "variable", "atom", "component")
        labelled = xr.DataArray(states[:, [2, 0, 1]], dims=dims, coords={"variable": order})
        assert (system.validate(labelled) == states).all()

    def test_atoms_without_moment_carry_no_spin(self):
        system = crystal(moment=np.repeat([2.2, 0.0], 8))
        states = system.random_states(1, 0)
        assert not states[0, SPIN, 8:].any() and system.healthy(states).all()
        states[0, SPIN, 9, 0] = 0.5
        with pytest.raises(ValueError, match="zero on atoms without a moment"):
            system.validate(states)

    def test_approach_the_aligned_lattice_with_order(self):
        system = crystal()
        states = system.random_states(2, 0, order=1e9)
        assert states[:, POSITION] == pytest.approx(
            np.broadcast_to(system.reference_positions, (2, 16, 3)), abs=1e-8
        )
        assert np.linalg.norm(states[:, SPIN].sum(axis=1), axis=-1) == pytest.approx(16 * 2.2)


class TestTemperatures:
    def test_thermal_momenta_have_the_temperature_and_no_drift(self):
        system = crystal(mass=np.repeat([55.845, 15.999], 8))
        momenta = system.thermal_momenta(450.0, 400, 0)
        assert np.abs(momenta.sum(axis=1)).max() < 1e-12
        states = system.random_states(400, 0)
        states[:, MOMENTUM] = momenta
        found = system.observables(states)["lattice_temperature"][1]
        # a standard deviation of the mean is 450 K sqrt(2/(45 · 400))
        assert found.mean() == pytest.approx(450.0, abs=5 * 450 * np.sqrt(2 / (45 * 400)))
        light = (momenta[:, 8:] ** 2).sum(-1).mean() / system.masses[8]
        assert light == pytest.approx(3 * BOLTZMANN * 450, rel=0.08)

    def test_the_lattice_temperature_does_not_see_a_common_velocity(self):
        system = crystal()
        states = system.random_states(1, 0)
        boosted = system.symmetry_action("galilean", np.random.default_rng(1))(states, 3.0)
        one, other = (system.observables(s)["lattice_temperature"][1][0] for s in (states, boosted))
        assert other == pytest.approx(one, rel=1e-9)

    def test_spins_of_a_paramagnet_have_the_temperature_of_langevins_function(self):
        # cos θ of exp(μ B cos θ / k T) by inversion; the formula holds with any x = μB/kT
        temperature, moment = 80.0, 2.2
        for x in (0.3, 2.0, 20.0):
            field = x * BOLTZMANN * temperature / moment
            u = np.linspace(0, 1, 20_001)[None, :-1] + 0.5 / 20_000
            z = 1 + np.log(u + (1 - u) * np.exp(-2 * x)) / x
            across = np.sqrt(1 - z**2)
            spins = moment * np.stack([across, 0 * z, z], axis=-1)
            assert z.mean() == pytest.approx(1 / np.tanh(x) - 1 / x, abs=1e-6)
            found = spin_temperature(spins, np.broadcast_to([0, 0, field], spins.shape))
            assert found[0] == pytest.approx(temperature, rel=1e-5)

    def test_two_coupled_spins_have_the_temperature_of_their_angle(self):
        # E = -J e·e': the cosine of their angle is distributed as exp(J cos / k T)
        temperature, coupling = 300.0, 0.03
        x = coupling / (BOLTZMANN * temperature)
        u = np.linspace(0, 1, 20_001)[:-1] + 0.5 / 20_000
        z = 1 + np.log(u + (1 - u) * np.exp(-2 * x)) / x
        first = np.broadcast_to([0.0, 0, 1], (len(z), 3))
        second = np.stack([np.sqrt(1 - z**2), 0 * z, z], axis=-1)
        spins = np.stack([first, second], axis=1).reshape(1, -1, 3)
        fields = coupling * np.stack([second, first], axis=1).reshape(1, -1, 3)
        assert spin_temperature(spins, fields)[0] == pytest.approx(temperature, rel=1e-5)

    def test_there_is_none_without_spins(self):
        assert np.isnan(spin_temperature(np.zeros((1, 4, 3)), np.zeros((1, 4, 3))))


class TestPressure:
    def test_without_forces_is_that_of_the_ideal_gas(self):
        system = crystal(pair_potential=None, exchange=None)
        states = system.random_states(3, 0)
        temperature = system.observables(states)["lattice_temperature"][1]
        expected = 15 * BOLTZMANN * temperature / np.linalg.det(system.cell) * GIGAPASCAL
        assert system.pressure(states) == pytest.approx(expected, rel=1e-12)

    def test_at_rest_is_minus_the_derivative_of_the_energy_with_the_volume(self):
        def at(constant):
            system = crystal(lattice_constant=constant)
            states = system.random_states(1, 0, order=1e9)
            states[:, MOMENTUM] = 0.0
            return system, states

        low, high = (
            system.energy(states)[0] for system, states in (at(2.9 - 1e-4), at(2.9 + 1e-4))
        )
        volume = 8 * ((2.9 + 1e-4) ** 3 - (2.9 - 1e-4) ** 3)
        system, states = at(2.9)
        assert system.pressure(states)[0] == pytest.approx(
            -GIGAPASCAL * (high - low) / volume, rel=1e-5
        )


class TestHealth:
    def test_impossible_states_are_unhealthy_and_the_others_are_not(self):
        system = crystal()
        states = system.random_states(5, 0)
        states[0, POSITION, 3, 1] = np.nan
        states[1, POSITION, 3] = states[1, POSITION, 4] + 0.1
        states[2, MOMENTUM, 3] = [1.1 * system.masses[3], 0, 0]
        states[3, SPIN, 3] *= 1.01
        assert system.healthy(states).tolist() == [False, False, False, False, True]

    def test_diagnosis_names_what_a_step_did(self):
        system = crystal()
        before = system.random_states(2, 0)
        after = before.copy()
        after[1, MOMENTUM] *= 2
        after[1, POSITION, 1] = after[1, POSITION, 0] + [0, 1.2, 0]
        found = system.diagnose(after, before)
        change = np.abs(system.energy(after) - system.energy(before)) / 4
        assert found["energy_change"] == pytest.approx(change)
        assert found["min_distance"][1] == pytest.approx(1.2)
        speed = np.linalg.norm(after[1, MOMENTUM], axis=-1) / system.masses
        assert found["max_speed"][1] == pytest.approx(speed.max())
        assert set(found) == set(system.default_bounds)

    def test_a_crystal_that_flies_by_is_as_sound_as_one_at_rest(self):
        system = crystal()
        states = system.random_states(2, 0)
        flying = states.copy()
        flying[:, MOMENTUM] += 2.0 * np.reshape(system.masses, (-1, 1))
        assert system.healthy(flying).all()
        speeds = [system.diagnose(s, s)["max_speed"] for s in (states, flying)]
        np.testing.assert_allclose(speeds[1], speeds[0], atol=1e-12)

    def test_projection_restores_the_energy_and_touches_only_relative_momenta(self):
        system = crystal()
        before = system.random_states(3, 0)
        before[:, MOMENTUM] += 0.3  # a drift
        after = before.copy()
        after[:, POSITION] += 1e-3 * np.sin(np.arange(48)).reshape(16, 3)
        after[:, MOMENTUM] *= 1.01
        kept = system.project(after, before, {"energy"}, 1.0)
        assert system.energy(kept) == pytest.approx(system.energy(before), rel=1e-12)
        assert kept[:, MOMENTUM].sum(1) == pytest.approx(after[:, MOMENTUM].sum(1), rel=1e-12)
        assert (kept[:, [POSITION, SPIN]] == after[:, [POSITION, SPIN]]).all()
        assert (system.project(after, before, {"momentum"}, 1.0) == after).all()

    def test_projection_gives_up_samples_that_have_too_much_potential_energy(self):
        system = crystal(pair_potential=Morse())
        before = system.random_states(2, 0)
        after = before.copy()
        after[1, POSITION, 1] = after[1, POSITION, 0] + [1.0, 0, 0]
        kept = system.project(after, before, {"energy"}, 1.0)
        assert np.isfinite(kept[0]).all() and np.isnan(kept[1]).all()


class TestSymmetryActions:
    def test_permutations_keep_unlike_atoms_apart(self, rng):
        system = crystal(mass=np.repeat([55.845, 57.9], 8))
        states = system.random_states(1, 0)
        moved = system.symmetry_action("permutation", rng)(states, 0.0)
        assert not (moved == states).all()
        heavy = {tuple(x) for x in states[0, POSITION, 8:]}
        assert {tuple(x) for x in moved[0, POSITION, 8:]} == heavy

    def test_a_boost_adds_its_kinetic_energy_and_moves_the_atoms(self, rng):
        system = crystal()
        states = system.random_states(1, 0)
        moved = system.symmetry_action("galilean", rng)(states, 50.0)
        shift = (moved - states)[0, POSITION]
        assert np.ptp(shift, axis=0).max() < 1e-12
        gained = system.energy(moved) - system.energy(states)
        speed2 = (shift[0] ** 2).sum() / 50.0**2
        assert gained[0] == pytest.approx(0.5 * system.masses.sum() * speed2, abs=1e-9)

    def test_there_are_no_others(self, rng):
        with pytest.raises(NotImplementedError, match="no transformation 'rotation'"):
            crystal().symmetry_action("rotation", rng)
