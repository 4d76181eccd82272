"""The Heisenberg lattice: energies, fields, symmetries, projection, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlintegrate import HeisenbergLattice
from dlintegrate._kernels.heisenberg import local_field_torch

SYSTEMS = [
    HeisenbergLattice(shape=(3, 4, 5)),
    HeisenbergLattice(shape=(4, 6), J=-1.5, field=(0.3, 0, -0.2)),
    HeisenbergLattice(shape=(5,), J=0.4, field=(0, 1, 0)),
]


@pytest.mark.parametrize(("shape", "bonds"), [((4,), 1), ((4, 4), 2), ((4, 4, 4), 3), (4, 3)])
def test_ground_state_has_d_bonds_per_site(shape, bonds):
    for J, sign in ((1.0, 1), (-1.0, -1)):
        system = HeisenbergLattice(shape, J=J)
        sides = system.lattice_shape
        staggered = (sign ** np.indices(sides).sum(axis=0))[..., None] * np.array([0.0, 0.6, 0.8])
        assert system.energy(staggered[None])[0] == pytest.approx(-bonds * np.prod(sides))


@pytest.mark.parametrize("system", SYSTEMS, ids=["3d", "2d", "1d"])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_field_is_minus_the_gradient_of_the_energy(system, seed):
    rng = np.random.default_rng(seed)
    states = system.random_states(1, rng)
    direction = rng.normal(size=states.shape)
    epsilon = 1e-6
    from dlintegrate._kernels import heisenberg as kernels

    def energy(s):  # of vectors of any length
        return kernels.energy(system._cubic(s), system.coupling, system.bias)[0]

    numeric = energy(states + epsilon * direction) - energy(states - epsilon * direction)
    exact = -np.sum(system.local_field(states) * direction)
    assert numeric / (2 * epsilon) == pytest.approx(exact, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("system", SYSTEMS, ids=["3d", "2d", "1d"])
def test_field_of_a_tensor_is_the_field_of_the_array(system):
    import torch

    states = system.random_states(2, 0)
    twin = local_field_torch(torch.as_tensor(states), system.coupling, system.bias).numpy()
    assert np.abs(twin - system.local_field(states)).max() < 1e-14


def test_magnetization_is_the_sum_of_spins(rng):
    system = HeisenbergLattice(shape=(3, 4))
    states = system.random_states(5, rng)
    assert np.allclose(system.magnetization(states), states.sum(axis=(1, 2)), atol=1e-13)


def test_a_field_costs_the_rotation_symmetry_and_the_magnetization():
    free, biased = HeisenbergLattice(), HeisenbergLattice(field=(0, 0, 0.1))
    assert free.symmetries - biased.symmetries == {"rotation"}
    assert free.invariants - biased.invariants == {"magnetization"}


class TestProjection:
    @pytest.mark.parametrize("system", [HeisenbergLattice(4), HeisenbergLattice((4, 6), J=-1)])
    @settings(max_examples=5, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), order=st.floats(0, 3))
    def test_restores_energy_and_magnetization_to_rounding(self, system, seed, order):
        rng = np.random.default_rng(seed)
        before = system.random_states(3, rng, order)
        moved = before + 1e-3 * rng.normal(size=before.shape)
        moved /= np.linalg.norm(moved, axis=-1, keepdims=True)
        result = system.project(moved, before, {"energy", "magnetization"}, 0.1)
        n = system.n_sites
        assert np.abs(system.energy(result) - system.energy(before)).max() < 1e-14 * n
        assert np.abs(system.magnetization(result) - system.magnetization(before)).max() < 1e-14 * n
        assert np.abs(np.linalg.norm(result, axis=-1) - 1).max() < 1e-15
        assert np.abs(result - moved).max() < 0.1, "a small correction moves spins a little"

    def test_energy_alone_leaves_the_magnetization_free(self, lattice, rng):
        before = lattice.random_states(2, rng)
        moved = lattice.random_states(2, rng, order=0.5)
        moved = before + 1e-3 * moved
        moved /= np.linalg.norm(moved, axis=-1, keepdims=True)
        result = lattice.project(moved, before, {"energy"}, 0.1)
        assert np.allclose(lattice.energy(result), lattice.energy(before), rtol=0, atol=1e-12)
        assert np.abs(lattice.magnetization(result) - lattice.magnetization(before)).max() > 1e-4

    def test_with_a_field_the_magnetization_precesses_exactly(self, rng):
        """Larmor: dM/dt = M × B whatever the exchange does."""
        from dlintegrate import BlanesMoan4

        system = HeisenbergLattice(4, field=(0.2, -0.5, 1.0))
        before = system.random_states(2, rng)
        after = BlanesMoan4(system, 0.01).step(before, 10)
        perturbed = after + 1e-4 * rng.normal(size=after.shape)
        perturbed /= np.linalg.norm(perturbed, axis=-1, keepdims=True)
        result = system.project(perturbed, before, {"magnetization"}, 0.1)
        assert np.allclose(system.magnetization(result), system.magnetization(after), atol=1e-8)

    def test_the_ground_state_has_no_direction_to_move_in_and_stays(self, lattice):
        up = np.zeros((1, 4, 4, 4, 3))
        up[..., 2] = 1.0
        assert (lattice.project(up, up, {"energy", "magnetization"}, 0.1) == up).all()

    def test_an_unreachable_target_fails_instead_of_passing(self, lattice, rng):
        up = np.zeros((2, 4, 4, 4, 3))
        up[..., 2] = 1.0
        moved = lattice.random_states(2, rng)  # nowhere near M = N
        result = lattice.project(moved, up, {"energy", "magnetization"}, 0.1)
        assert np.isnan(result).all()


class TestBadInput:
    @pytest.mark.parametrize("shape", [(2, 4, 4), 2, (4, 4, 4, 4), (), "cube", (4.5, 4), None])
    def test_shapes(self, shape):
        with pytest.raises(ValueError, match="shape="):
            HeisenbergLattice(shape).energy(np.zeros((1, 4, 4, 4, 3)))

    def test_parameters(self, lattice):
        states = lattice.random_states(1, 0)
        with pytest.raises(ValueError, match="J="):
            HeisenbergLattice(4, J=np.nan).energy(states)
        with pytest.raises(ValueError, match="field="):
            HeisenbergLattice(4, field=(0, 1)).energy(states)

    def test_spins_off_the_unit_sphere_are_named(self, lattice):
        states = lattice.random_states(3, 0)
        states[1, 0, 0, 0] *= 1.01
        with pytest.raises(ValueError, match=r"off the unit sphere in sample 1 .*divide"):
            lattice.energy(states)

    def test_nan_is_named(self, lattice):
        states = lattice.random_states(3, 0)
        states[2, 0, 0, 0, 0] = np.nan
        with pytest.raises(ValueError, match=r"NaN or infinite values in sample 2 \(1 of 3\)"):
            lattice.energy(states)

    def test_wrong_shapes_say_what_is_expected(self, lattice):
        states = lattice.random_states(2, 0)
        with pytest.raises(ValueError, match=r"samples\[None\]"):
            lattice.energy(states[0])
        with pytest.raises(ValueError, match=r"sides \(4, 4, 3\)"):
            lattice.energy(states[:, :, :, :3])
        with pytest.raises(ValueError, match="4 components"):
            lattice.energy(np.zeros((1, 4, 4, 4, 4)))
        with pytest.raises(ValueError, match="no sample"):
            lattice.energy(states[:0])
        with pytest.raises(TypeError, match="array of floats"):
            lattice.energy("spins")

    def test_single_precision_is_accepted_and_put_on_the_sphere(self, lattice):
        states = lattice.random_states(2, 0)
        assert lattice.energy(states.astype(np.float32)) == pytest.approx(lattice.energy(states))
