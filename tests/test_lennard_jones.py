"""The Lennard-Jones fluid: energies, forces, boxes, lists, and bad input."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from dlintegrate import LennardJones2D
from dlintegrate._kernels import pairs, pairs_torch

DIMS = ("sample", "variable", "particle", "component")


def labelled(states, box, **coords):
    coords = {"box_length": box, **coords}
    return xr.DataArray(states, dims=DIMS, coords={k: ("sample", v) for k, v in coords.items()})


def pair_at(distance, box=20.0):
    states = np.zeros((1, 2, 2, 2))
    states[0, 0, 1, 0] = distance
    return labelled(states, [box])


def plain_energy(positions, box, phi):
    """The sum over pairs as a textbook has it."""
    total = 0.0
    for i in range(len(positions)):
        for k in range(i):
            d = positions[i] - positions[k]
            total += phi(np.linalg.norm(d - box * np.round(d / box)))
    return total


class TestEnergy:
    def test_of_a_pair_is_the_potential(self):
        for r in (0.9, 1.0, 2 ** (1 / 6), 1.5, 3.0):
            expected = 4 * (r**-12 - r**-6)
            assert LennardJones2D(2).energy(pair_at(r))[0] == pytest.approx(expected, rel=1e-13)

    def test_scales_with_epsilon_and_sigma(self):
        scaled = LennardJones2D(2, epsilon=2.5, sigma=1.3).energy(pair_at(1.3 * 1.2))
        assert scaled == pytest.approx(2.5 * LennardJones2D(2).energy(pair_at(1.2)), rel=1e-13)

    def test_takes_the_shortest_image(self):
        system = LennardJones2D(2)
        assert system.energy(pair_at(20.0 - 1.2)) == pytest.approx(system.energy(pair_at(1.2)))
        assert system.energy(pair_at(1.2 + 5 * 20.0)) == pytest.approx(system.energy(pair_at(1.2)))

    def test_of_the_triangular_lattice_at_zero_temperature(self):
        # E/N = -3.38212 at the density 0.93473, up to what lies beyond half the box
        rows, columns = 24, 14
        a = np.sqrt(2 / np.sqrt(3) / 0.93473)
        i, j = np.meshgrid(np.arange(columns * 2), np.arange(rows), indexing="ij")
        x, y = a * (i + 0.5 * (j % 2)), a * np.sqrt(3) / 2 * j
        positions = np.stack([x.ravel(), y.ravel()], axis=1)
        centre = positions[np.argmin(np.linalg.norm(positions - positions.mean(0), axis=1))]
        r = np.linalg.norm(positions - centre, axis=1)
        r = r[(r > 0) & (r < 10 * a)]
        near = 0.5 * np.sum(4 * (r**-12 - r**-6))
        beyond = -0.5 * 4 * 2 * np.pi * 0.93473 / 4 * (10 * a) ** -4
        assert near + beyond == pytest.approx(-3.38212, abs=2e-4)

    def test_of_a_crystal_with_a_cutoff_is_the_plain_sum(self):
        n, box = 60, 30.0
        states = LennardJones2D(n, 0.9).random_states(1, 0)
        system = LennardJones2D(n, cutoff=2.5)

        def phi(r):
            return 4 * (r**-12 - r**-6) - 4 * (2.5**-12 - 2.5**-6) if r < 2.5 else 0.0

        energy = plain_energy(states[0, 0], box, phi) + 0.5 * np.sum(states[0, 1] ** 2)
        assert system.energy(labelled(states, [box]))[0] == pytest.approx(energy, rel=1e-12)

    @pytest.mark.parametrize("truncation", ["shift", "smooth"])
    def test_goes_to_zero_at_the_cutoff(self, truncation):
        system = LennardJones2D(2, cutoff=2.5, truncation=truncation)
        inside, outside = system.energy(pair_at(2.5 - 1e-9)), system.energy(pair_at(2.5 + 1e-9))
        assert abs(inside[0]) < 1e-9 and outside[0] == 0
        force = abs(system.forces(pair_at(2.5 - 1e-9))[0, 0, 0])
        assert force < 1e-8 if truncation == "smooth" else force > 0.03

    @pytest.mark.parametrize(
        "temperature, expected", [(0.27, -30.792), (0.47, -6.9130), (0.71, -2.6701)]
    )
    def test_gives_the_second_virial_coefficient(self, temperature, expected):
        r = np.linspace(0.55, 60, 60_000)
        system = LennardJones2D(2)
        states = np.zeros((len(r), 2, 2, 2))
        states[:, 0, 1, 0] = r
        phi = system.energy(labelled(states, np.full(len(r), 1000.0)))
        # -π ∫ (e^{-φ/T} - 1) r dr; below 0.55 the exponential vanishes
        integrand = np.expm1(-phi / temperature) * r
        b2 = -np.pi * (np.trapezoid(integrand, r) - 0.55**2 / 2)
        assert b2 == pytest.approx(expected, rel=2e-4)


class TestForces:
    @pytest.mark.parametrize(
        "system",
        [
            LennardJones2D(16, 0.38),
            LennardJones2D(7, 0.2, epsilon=0.7, sigma=1.1),
            LennardJones2D(64, 0.5, cutoff=2.5),
            LennardJones2D(400, 0.6, cutoff=2.5, truncation="smooth"),
        ],
        ids=["full", "scaled", "cut", "list"],
    )
    def test_are_the_gradient_of_the_energy(self, system):
        states = system.random_states(2, 0)
        forces = system.forces(states)
        h = 1e-6
        for i, c in [(0, 0), (3, 1), (system.n_particles - 1, 0)]:
            plus, minus = states.copy(), states.copy()
            plus[:, 0, i, c] += h
            minus[:, 0, i, c] -= h
            slope = -(system.energy(plus) - system.energy(minus)) / (2 * h)
            np.testing.assert_allclose(forces[:, i, c], slope, rtol=1e-5, atol=1e-6)

    def test_add_up_to_zero(self):
        forces = LennardJones2D(16, 0.38).forces(LennardJones2D(16, 0.38).random_states(5, 1))
        assert np.abs(forces.sum(axis=1)).max() < 1e-12 * np.abs(forces).max()

    @settings(deadline=None, max_examples=10)
    @given(seed=st.integers(0, 10**6), density=st.floats(0.3, 0.9), n=st.integers(201, 500))
    def test_of_lists_are_those_of_all_pairs(self, seed, density, n):
        system = LennardJones2D(n, density, cutoff=2.0)
        packed = system.validate(system.random_states(1, seed))
        packed[:, 0, :-1] += 3.7 * packed[0, 0, -1, 0]  # positions need not lie in the box
        assert system.uses_list(packed).all()
        all_pairs = LennardJones2D(n, density, cutoff=2.0)
        all_pairs.uses_list = lambda array: np.zeros(len(array), dtype=bool)
        np.testing.assert_allclose(
            system.forces_of(packed), all_pairs.forces_of(packed), rtol=1e-9, atol=1e-9
        )
        np.testing.assert_allclose(
            system._measure(packed), all_pairs._measure(packed), rtol=1e-11, atol=1e-11
        )

    @pytest.mark.parametrize(
        "cutoff, truncation", [(None, "shift"), (2.0, "shift"), (2.0, "smooth")]
    )
    def test_in_torch_are_the_same(self, cutoff, truncation):
        system = LennardJones2D(12, 0.3, cutoff=cutoff, truncation=truncation)
        packed = system.validate(system.random_states(4, 2))
        tensor = torch.as_tensor(packed)
        q, side = tensor[:, 0, :-1].clone().requires_grad_(), tensor[:, 0, -1, 0]
        forces = pairs_torch.forces(q, side, system.law)
        np.testing.assert_allclose(
            forces.detach(), system.forces_of(packed), rtol=1e-10, atol=1e-12
        )
        energy = pairs_torch.potential_energy(q, side, system.law)
        np.testing.assert_allclose(energy.detach(), system._measure(packed)[:, 0], rtol=1e-12)
        (gradient,) = torch.autograd.grad(energy.sum(), q)
        np.testing.assert_allclose(-gradient, forces.detach(), rtol=1e-9, atol=1e-11)


class TestLists:
    def test_leave_a_broken_sample_to_itself(self):
        system = LennardJones2D(300, 0.5, cutoff=2.0)
        packed = system.validate(system.random_states(3, 0))
        packed[1, 0, 5] = np.nan
        forces = system.forces_of(packed)
        assert np.isnan(forces[1]).all() and np.isfinite(forces[[0, 2]]).all()
        after = system.advance(packed, np.array([[1, 0.001], [0, 0.002], [1, 0.001]]), 50)
        assert system.healthy(after).tolist() == [True, False, True]

    def test_are_used_by_each_sample_as_if_alone(self):
        # one box is too small for lists, the others are not
        system = LennardJones2D(300, 0.8, cutoff=6.0)
        states = system.random_states(3, 1)
        packed = system.validate(labelled(states, [22.0, 19.4, 22.0]))
        assert system.uses_list(packed).tolist() == [True, False, True]
        schedule = np.array([[1, 0.001], [0, 0.002], [1, 0.001]])
        together = system.advance(packed, schedule, 5)
        alone = np.concatenate([system.advance(p[None], schedule, 5) for p in packed])
        np.testing.assert_array_equal(together, alone)
        np.testing.assert_array_equal(
            system._measure(packed), np.concatenate([system._measure(p[None]) for p in packed])
        )

    def test_count_each_pair_once_in_the_smallest_box_that_takes_them(self):
        cutoff = 1.2571018905532245  # whose cells round badly
        system = LennardJones2D(210, cutoff=cutoff)
        states = LennardJones2D(210, 10.0).random_states(1, 2)
        side = 3 * 1.12 * cutoff
        states[:, 0] *= side / LennardJones2D(210, 10.0).box_length
        for stretch in (1.0, 1 + 1e-8, 1.01):
            packed = system.pack(states, {"box_length": [side * stretch]})
            expected = np.empty((1, 3))
            pairs.measure_small(packed, system.law, expected)
            np.testing.assert_allclose(system._measure(packed), expected, rtol=1e-9)


class TestObservables:
    def test_pressure_is_the_volume_derivative_of_the_free_energy(self):
        # at fixed momenta in units of 1/box: P A' = -dE/ds for a uniform stretch s
        system = LennardJones2D(16, 0.38)
        states, box = system.random_states(1, 3), system.box_length
        h = 1e-6

        def energy(s):
            stretched = states.copy()
            stretched[:, 0] *= s
            stretched[:, 1] /= s
            return system.energy(labelled(stretched, [box * s]))[0]

        virial = -(energy(1 + h) - energy(1 - h)) / (2 * h) / (2 * box**2)
        # ρT with T = 2K/(2(n - 1)) instead of K/n: the degrees of freedom
        kinetic = 0.5 * np.sum(states[0, 1] ** 2)
        expected = virial + (16 / 15 - 1) * kinetic / box**2
        assert system.pressure(states)[0] == pytest.approx(expected, rel=1e-6)

    def test_kinetic_temperature_counts_the_degrees_of_freedom(self, rng):
        system = LennardJones2D(16)
        states = system.random_states(4000, rng)
        states[:, 1] = np.sqrt(0.7) * rng.normal(size=states[:, 1].shape)
        states[:, 1] -= states[:, 1].mean(axis=1, keepdims=True)
        temperature = system.kinetic_temperature(states)
        error = temperature.std() / np.sqrt(len(temperature))
        assert abs(temperature.mean() - 0.7) < 4 * error
        states[:, 1] += [3.0, -1.0]  # a moving frame has no temperature
        np.testing.assert_allclose(system.kinetic_temperature(states), temperature, rtol=1e-10)

    def test_projection_restores_the_energy_and_leaves_the_momentum(self, rng):
        system = LennardJones2D(16, 0.3)
        before = system.validate(system.random_states(5, rng))
        before[:, 1, :-1] += [0.3, -0.2]
        after = before.copy()
        after[:, 1, :-1] *= 1.02
        after[:, 0, :-1] += 0.01 * rng.normal(size=(5, 16, 2))
        projected = system.project(after, before, {"energy"}, 0.1)
        kept, made = (system.observables(a) for a in (before, projected))
        np.testing.assert_allclose(made["energy"][1], kept["energy"][1], rtol=1e-13, atol=1e-13)
        total = system.observables(after)["momentum"][1]
        np.testing.assert_allclose(made["momentum"][1], total, atol=1e-13)
        np.testing.assert_array_equal(projected[:, 0], after[:, 0])

    def test_projection_that_is_impossible_gives_nan_in_that_sample_alone(self):
        system = LennardJones2D(2)
        before = system.validate(xr.concat([pair_at(1.2), pair_at(1.2)], "sample"))
        after = before.copy()
        after[0, 0, 1, 0] = 0.9  # 16 ε of potential energy from nowhere
        projected = system.project(after, before, {"energy"}, 0.1)
        assert np.isnan(projected[0, :, :2]).all() and np.isfinite(projected[1]).all()


class TestHealth:
    def test_an_explosion_stays_finite_and_is_found(self):
        system = LennardJones2D(2)
        packed = system.validate(xr.concat([pair_at(1.2)] * 4, "sample"))
        packed[1, 0, 1, 0] = 0.4
        packed[2, 1, 0] = 1e5
        packed[3, 0, 0, 0] = np.nan
        assert system.healthy(packed).tolist() == [True, False, False, False]


class TestStates:
    def test_carry_their_box_through_any_selection(self):
        system = LennardJones2D(16)
        states = system.random_states(3, 0)
        packed = system.validate(labelled(states, [9.0, 10.0, 11.0]))
        unpacked, coords = system.unpack(packed[[2, 0]])
        assert coords["box_length"].tolist() == [11.0, 9.0]
        np.testing.assert_array_equal(unpacked, states[[2, 0]])

    def test_without_a_box_take_that_of_the_density(self):
        system = LennardJones2D(16, 0.25)
        assert system.unpack(system.validate(system.random_states(1, 0)))[1]["box_length"] == [8.0]

    def test_may_have_their_variables_in_any_order(self):
        system = LennardJones2D(16)
        states = labelled(system.random_states(2, 0), [9.0, 9.0])
        named = states.assign_coords(variable=["position", "momentum"])
        swapped = named.isel(variable=[1, 0])
        np.testing.assert_array_equal(system.validate(swapped), system.validate(states))


class TestBadInput:
    @pytest.mark.parametrize(
        "parameters, message",
        [
            ({"n_particles": 1}, r"n_particles=1: expected an int, 2 or more"),
            ({"n_particles": 4.5}, r"n_particles=4.5"),
            ({"density": 0}, r"density=0: expected a positive number"),
            ({"density": float("nan")}, r"density=nan"),
            ({"cutoff": -1.0}, r"cutoff=-1.0"),
            ({"cutoff": "a"}, r"cutoff='a': expected a positive number"),
            ({"sigma": "1"}, r"sigma='1'"),
            ({"truncation": "none"}, r"truncation='none': expected 'shift' or 'smooth'"),
        ],
    )
    def test_parameters(self, parameters, message):
        good = LennardJones2D().random_states(1, 0)
        with pytest.raises(ValueError, match=message):
            LennardJones2D(**parameters).energy(good)

    def test_a_cutoff_beyond_half_the_box(self):
        system = LennardJones2D(16, 0.38, cutoff=3.5)
        with pytest.raises(ValueError, match=r"cutoff=3.5 exceeds half of the smallest box, 3.24"):
            system.energy(system.random_states(1, 0))

    def test_overlapping_particles_are_named(self):
        states = np.concatenate([LennardJones2D().random_states(2, 0)] * 2)
        states[2, 0, 1] = states[2, 0, 0] + 0.1
        with pytest.raises(ValueError, match=r"overlapping particles in sample 2 \(1 of 4\)"):
            LennardJones2D().energy(states)

    def test_a_wrong_shape(self):
        with pytest.raises(ValueError, match=r"expected \(2, n_particles, 2\) = \(2, 16, 2\)"):
            LennardJones2D().energy(np.zeros((3, 2, 15, 2)))

    def test_a_box_that_is_not_positive(self):
        states = labelled(LennardJones2D().random_states(2, 0), [9.0, -1.0])
        with pytest.raises(ValueError, match=r"box_length is not positive and finite in sample 1"):
            LennardJones2D().energy(states)

    def test_unknown_variables(self):
        states = labelled(LennardJones2D().random_states(1, 0), [9.0])
        with pytest.raises(ValueError, match=r"has variables \['position', 'velocity'\]"):
            LennardJones2D().energy(states.assign_coords(variable=["position", "velocity"]))
