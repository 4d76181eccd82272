"""Errors of fields: torques, symmetry, locality."""

import numpy as np
import pytest
import torch
import xarray as xr

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantTorque,
    ExactDiagonalization,
    FieldTraining,
    HeisenbergLattice,
    SemiImplicitB,
    TorqueCNN,
    TriangularSDModel,
)
from dlintegrate.metrics import (
    effective_receptive_field,
    equivariance_error,
    receptive_radius,
    torque_angle,
    torque_error,
)
from dlintegrate.systems import ferromagnet

pytestmark = pytest.mark.filterwarnings("ignore:shape=.*period of 12:UserWarning")

MODEL = TriangularSDModel((6, 6), field=(0.1, 0, 0.2), solver=ExactDiagonalization())
SPINS = MODEL.random_states(3, random_state=0)
FIELD = np.random.default_rng(1).normal(size=SPINS.shape)


def along(spins):
    return 3.0 * spins


class TestTorqueError:
    def test_what_is_along_the_spin_does_not_count(self):
        assert torque_error(FIELD + along(SPINS), FIELD, SPINS) == pytest.approx(0, abs=1e-14)
        assert torque_error(along(SPINS), FIELD, SPINS) == pytest.approx(1)

    def test_a_field_too_long_by_a_tenth_has_an_error_of_a_tenth(self):
        assert torque_error(1.1 * FIELD, FIELD, SPINS) == pytest.approx(0.1)

    def test_large_torques_weigh_more(self):
        scale, wrong = np.array([1.0, 3.0, 0.0]), np.array([1.0, 0.0, 0.0])
        exact = FIELD[:1] * scale[:, None, None, None]
        spins = np.broadcast_to(SPINS[:1], exact.shape)
        predicted = exact * (1 + wrong[:, None, None, None])
        assert torque_error(predicted, exact, spins) == pytest.approx(1 / np.sqrt(10))

    def test_one_value_for_each_sample_and_time(self):
        factor = 1 + np.array([0.1, 0.2, 0.3])[:, None, None, None]
        errors = torque_error(factor * FIELD, FIELD, SPINS, per_sample=True)
        np.testing.assert_allclose(errors, [0.1, 0.2, 0.3])
        trajectory = xr.DataArray(
            np.stack([SPINS, SPINS], axis=1),
            dims=("sample", "time", "x", "y", "component"),
            coords={"time": [0.0, 2.0]},
        )
        exact = np.stack([FIELD, FIELD], axis=1)
        wrong = exact * np.array([1.1, 1.5])[:, None, None, None]
        errors = torque_error(wrong, exact, trajectory, per_sample=True)
        assert errors.dims == ("sample", "time")
        np.testing.assert_allclose(errors.sel(time=2.0), 0.5)

    def test_shapes_must_agree(self):
        with pytest.raises(ValueError, match=r"predicted has shape \(2, 6, 6, 3\)"):
            torque_error(FIELD[:2], FIELD, SPINS)


class TestTorqueAngle:
    @pytest.mark.parametrize("angle", [0.0, 1e-7, 30.0, 90.0, 180.0])
    def test_is_the_angle_by_which_the_torque_was_turned(self, angle):
        flat = FIELD - (FIELD * SPINS).sum(-1, keepdims=True) * SPINS
        turned = np.cos(np.radians(angle)) * flat + np.sin(np.radians(angle)) * np.cross(
            SPINS, flat
        )
        found = torque_angle(2 * turned + along(SPINS), FIELD, SPINS)
        assert found.shape == SPINS.shape[:-1]
        np.testing.assert_allclose(found, angle, rtol=1e-6, atol=1e-12)

    def test_no_torque_has_no_direction(self):
        predicted = FIELD.copy()
        predicted[0, 1, 2] = 0.0
        found = torque_angle(predicted, FIELD, SPINS)
        assert np.argwhere(np.isnan(found)).tolist() == [[0, 1, 2]]


class TestEquivariance:
    @pytest.mark.parametrize("group, n", [("spin", 4), ("lattice", 11)])
    def test_the_exact_field_has_all_symmetries_also_in_an_external_field(self, group, n):
        error = equivariance_error(MODEL, SPINS, group, random_state=0)
        assert error.shape == (n, *SPINS.shape)
        assert np.abs(error).max() < 1e-12

    def test_a_preferred_axis_is_found(self):
        def anisotropic(spins):
            return spins * [1.0, 1.0, 2.0]

        assert equivariance_error(anisotropic, SPINS, relative=True, random_state=0) > 0.3
        assert equivariance_error(anisotropic, SPINS, "lattice", relative=True) < 1e-14

    def test_a_preferred_direction_on_the_lattice_is_found(self):
        def lopsided(spins):
            return np.roll(spins, 1, axis=1)

        assert equivariance_error(lopsided, SPINS, "lattice", relative=True) > 0.3
        assert equivariance_error(lopsided, SPINS, relative=True, random_state=0) < 1e-14

    def test_every_other_operation_is_a_reflection(self):
        def axial(spins):  # turns with the spins, but not with their mirror image
            return np.cross(np.roll(spins, 1, axis=1), np.roll(spins, 1, axis=2))

        error = np.abs(equivariance_error(axial, SPINS, n_operations=4, random_state=0))
        largest = error.max(axis=(1, 2, 3, 4))
        assert (largest[::2] < 1e-14).all() and (largest[1::2] > 0.3).all()

    def test_the_lattice_operations_are_those_of_the_triangular_lattice(self):
        def of_neighbours(steps):
            return lambda spins: sum(np.roll(spins, step, axis=(1, 2)) for step in steps)

        hexagon = [(1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1)]
        mirrored = [(1, 0), (0, 1), (1, 1), (-1, 0), (0, -1), (-1, -1)]
        assert equivariance_error(of_neighbours(hexagon), SPINS, "lattice", relative=True) < 1e-14
        assert equivariance_error(of_neighbours(mirrored), SPINS, "lattice", relative=True) > 0.3

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ((MODEL, SPINS, "D6"), "group='D6'"),
            ((np.sin, np.ones((1, 6, 8, 3)), "lattice"), r"lattice sides \(6, 8\)"),
            ((np.sin, np.ones(6)), r"spins has shape \(6,\)"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            equivariance_error(*arguments)
        with pytest.raises(TypeError, match="field=3"):
            equivariance_error(3, SPINS)
        with pytest.raises(ValueError, match="n_operations=0"):
            equivariance_error(MODEL, SPINS, n_operations=0)


class Differentiable(HeisenbergLattice):
    """A field known to torch too; here of neighbours in one direction, or in all four."""

    def __init__(self, shape=(6, 8), J=1.0, field=(0.0, 0.0, 0.0), steps=((1, 1), (1, -1))):
        super().__init__(shape, J, field)
        self.steps = steps

    def field_tensor(self, tensor):
        return sum(torch.roll(tensor, shift, dims=axis) for axis, shift in self.steps)


ALL = ((1, 1), (1, -1), (2, 1), (2, -1))


class TestReceptiveField:
    @pytest.mark.parametrize("method", ["gradient", "perturbation"])
    def test_of_parallel_heisenberg_spins(self, method):
        system = Differentiable(steps=ALL)
        seen = effective_receptive_field(
            system, ferromagnet((6, 8), 2), n_sites=2, method=method, angle=1e-3, random_state=0
        )
        expected = np.zeros((6, 8))
        # two components of each neighbour; and turning away from the field of all four
        expected[[2, 4, 3, 3], [4, 4, 3, 5]] = 2.0
        expected[3, 4] = 8.0
        assert (int(seen.dx[3]), int(seen.dy[4])) == (0, 0)
        np.testing.assert_allclose(seen, expected, atol=1e-5)

    def test_gradient_and_perturbation_agree(self):
        system = Differentiable(steps=ALL)
        spins = system.random_states(2, 1)
        options = {"n_sites": 3, "random_state": 2}
        by_gradient = effective_receptive_field(system, spins, **options)
        turned = effective_receptive_field(
            system, spins, method="perturbation", angle=1e-4, **options
        )
        np.testing.assert_allclose(by_gradient, turned, atol=1e-7)
        assert np.ptp(by_gradient.values[[2, 4, 3, 3], [4, 4, 3, 5]]) > 0.1  # not all alike

    def test_displacements_point_to_the_spins_that_matter(self):
        # each spin feels only the one that precedes it along x
        one_way = Differentiable(steps=((1, 1),))
        seen = effective_receptive_field(one_way, ferromagnet((6, 8)), random_state=0)
        assert float(seen.sel(dx=-1, dy=0)) == pytest.approx(2.0)
        assert float(seen.sel(dx=1, dy=0)) == 0.0

    def test_of_the_exact_model_has_the_symmetry_of_the_lattice(self):
        # of parallel spins, where every site is alike
        model = MODEL.resized((12, 12, 3))
        seen = effective_receptive_field(model, ferromagnet((12, 12)), n_sites=1, random_state=3)
        ring = [seen.sel(dx=dx, dy=dy) for dx, dy in ((1, 0), (0, 1), (-1, 1), (-1, 0), (1, -1))]
        np.testing.assert_allclose(ring, float(ring[0]), rtol=1e-6)
        # the stiffness of a pair: rotating all spins together changes no torque
        assert float(seen.sel(dx=0, dy=0)) > float(ring[0]) > float(seen.sel(dx=-6, dy=0))

    def test_distances_are_those_of_the_nearest_images(self):
        seen = effective_receptive_field(Differentiable(), ferromagnet((6, 8)), random_state=0)
        assert float(seen.distance.sel(dx=1, dy=-1)) == pytest.approx(1.0)
        assert float(seen.distance.sel(dx=1, dy=1)) == pytest.approx(np.sqrt(3))
        # (-3, -4) is farther than its image (3, -4)
        assert float(seen.distance.sel(dx=-3, dy=-4)) == pytest.approx(np.sqrt(13))
        np.testing.assert_allclose(np.hypot(seen.x, seen.y), seen.distance)

    def test_radius_holds_the_share(self):
        seen = effective_receptive_field(
            Differentiable(steps=ALL), ferromagnet((6, 8)), random_state=0
        )  # eight parts of sixteen at the site; four at distance 1 of the skew coordinates
        assert receptive_radius(seen, 0.5) == 0.0
        assert receptive_radius(seen, 0.51) == pytest.approx(1.0)
        assert receptive_radius(seen, 1.0) == pytest.approx(1.0)
        with pytest.raises(ValueError, match=r"share=0\.0"):
            receptive_radius(seen, 0.0)

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"n_sites": 0}, "n_sites=0"),
            ({"method": "x"}, "method='x'"),
            ({"method": "gradient"}, "no field_tensor"),
            ({"angle": 0.0}, r"angle=0\.0"),
        ],
    )
    def test_bad_input(self, options, message):
        with pytest.raises(ValueError, match=message):
            effective_receptive_field(MODEL, SPINS, **options)


@pytest.fixture(scope="module")
def fields():
    """Fields learned from an energy, directly, and without symmetry, hardly trained."""
    model = TriangularSDModel((6, 6), solver=ExactDiagonalization())
    spins = model.random_states(2, 0)
    training = FieldTraining(epochs=1, batch_size=1)
    small = {"training": training, "precision": "double"}
    vectors = {"n_vectors": 3, "n_scalars": 3, "n_directed": 2, "depth": 1, "first_reach": 2}
    correctors = {
        "energy": EquivariantTorque(**small, **vectors, energy=True),
        "direct": EquivariantTorque(**small, **vectors),
        "plain": TorqueCNN(widths=(4,), kernel_size=3, **small),
    }
    base = SemiImplicitB(model, dt=0.1)
    return {
        name: CorrectedIntegrator(base, corrector, random_state=0).fit(spins).simulated
        for name, corrector in correctors.items()
    }


class TestLearnedField:
    def test_the_symmetry_that_is_built_in_is_exact(self, fields):
        for group in ("spin", "lattice"):
            errors = {
                name: equivariance_error(field, SPINS, group, relative=True, random_state=0)
                for name, field in fields.items()
            }
            assert errors["energy"] < 1e-12 and errors["direct"] < 1e-12
            assert errors["plain"] > 0.01

    def test_a_field_from_an_energy_is_felt_as_it_is_exerted(self, fields):
        def both_ways(name):
            options = {"n_sites": 2, "random_state": 0}
            seen = effective_receptive_field(fields[name], SPINS, **options)
            response = effective_receptive_field(
                fields[name], SPINS, method="perturbation", angle=1e-4, **options
            )
            return float(abs(seen - response).max() / seen.max())

        assert both_ways("energy") < 1e-6
        assert both_ways("direct") > 1e-3


def test_named_axes_may_come_in_any_order():
    model = TriangularSDModel((6, 6), solver=ExactDiagonalization())
    spins = model.random_states(2, 0)
    exact = model.local_field(spins)
    predicted = exact + 0.01 * np.random.default_rng(1).normal(size=exact.shape)
    named = xr.DataArray(spins, dims=["sample", "x", "y", "component"])
    named = named.transpose("component", "y", "sample", "x")
    assert torque_error(predicted, exact, named) == torque_error(predicted, exact, spins)
