"""Itinerant magnets: exact fields, the kernel polynomial method, textures."""

import numpy as np
import pytest
import xarray as xr

from dlintegrate import (
    ExactDiagonalization,
    KernelPolynomial,
    TriangularSDModel,
    skyrmion_lattice,
)
from dlintegrate._kernels.triangular import NEAREST
from dlintegrate.metrics import (
    ordering_weight,
    structure_factor,
    topological_charge,
    topological_density,
)
from dlintegrate.systems import ferromagnet, helix

pytestmark = pytest.mark.filterwarnings("ignore:.*period of 12 sites")
SMALL = {"shape": (6, 6), "solver": ExactDiagonalization()}


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def turned_lattice(field):
    """(x, y) -> (-y, x + y): a rotation of a periodic rhombic lattice by 60°."""
    x, y = np.indices(field.shape[1:3])
    out = np.empty_like(field)
    out[:, (-y) % len(x), (x + y) % len(x)] = field
    return out


class TestExactField:
    @pytest.mark.parametrize("spin_half", [False, True])
    @pytest.mark.parametrize(
        ("side", "solver", "tolerance"),
        [(6, None, 1e-7), (12, None, 1e-7), (12, KernelPolynomial(300), 2e-6)],
        ids=["6²", "12²", "series on 12²"],
    )
    def test_is_the_gradient_of_the_grand_potential(self, spin_half, side, solver, tolerance):
        parameters = {"shape": (side, side), "spin_half": spin_half, "field": (0.1, -0.2, 0.3)}
        exact = TriangularSDModel(**parameters, solver=ExactDiagonalization())
        model = exact if solver is None else TriangularSDModel(**parameters, solver=solver)
        spins = model.random_states(1, 0)
        field = model.local_field(spins)
        h = 1e-5
        for x, y, c in [(0, 0, 0), (3, 5, 1), (2, 2, 2)]:
            plus, minus = spins.copy(), spins.copy()
            plus[0, x, y, c] += h
            minus[0, x, y, c] -= h
            energy = [exact.observables(s)["energy"][1][0] for s in (plus, minus)]
            slope = -(energy[0] - energy[1]) / (2 * h)
            assert slope == pytest.approx(field[0, x, y, c], abs=tolerance)

    def test_turns_with_the_spins_and_changes_sign_with_them(self, rng):
        model = TriangularSDModel(**SMALL, field=(0, 0, 0))
        spins = model.random_states(1, 1)
        field = model.local_field(spins)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        np.testing.assert_allclose(model.local_field(spins @ turn.T), field @ turn.T, atol=1e-12)
        np.testing.assert_allclose(model.local_field(-spins), -field, atol=1e-12)

    def test_has_the_symmetry_of_the_lattice(self):
        model = TriangularSDModel(**SMALL)
        spins = model.random_states(1, 2)
        field = model.local_field(spins)
        for move in (turned_lattice, lambda f: f.swapaxes(1, 2), lambda f: np.roll(f, 2, 1)):
            np.testing.assert_allclose(model.local_field(move(spins)), move(field), atol=1e-12)

    def test_comes_with_the_energy_in_one_solution(self, monkeypatch):
        model = TriangularSDModel(**SMALL)
        spins = model.random_states(2, 3)
        expected = model.local_field(spins), model.energy(spins)
        solved = []
        solve = ExactDiagonalization.solve

        def counted(solver, *arguments):
            solved.append(solver)
            return solve(solver, *arguments)

        monkeypatch.setattr(ExactDiagonalization, "solve", counted)
        field, known = model.field_and_observables(spins)
        assert len(solved) == 1
        np.testing.assert_array_equal(field, expected[0])
        np.testing.assert_array_equal(known["energy"][1], expected[1])

    def test_of_free_electrons_fills_the_band(self):
        model = TriangularSDModel((12, 12), J=0.0, solver=ExactDiagonalization())
        k = 2 * np.pi / 12 * np.indices((12, 12))
        phases = [k[0], k[1], k[1] - k[0]]
        band = sum(-2 * np.cos(p) + 2 * 0.85 * np.cos(2 * p) for p in phases)
        expected = 2 * (0.5 * (1 - np.tanh(0.5 * (band + 3.5) / 0.05))).mean()
        density = model.electron_density(ferromagnet((12, 12)))
        np.testing.assert_allclose(density, expected, atol=1e-12)

    def test_of_a_ferromagnet_is_along_it_and_polarised(self):
        model = TriangularSDModel(**SMALL, field=(0, 0, 0))
        field = model.local_field(ferromagnet((6, 6)))
        np.testing.assert_allclose(field[..., :2], 0, atol=1e-12)
        assert (field[..., 2] > 0.01).all()

    def test_twists_are_a_larger_lattice(self):
        # a texture repeated twice along each side sees the states of all twists of the small one
        spins = TriangularSDModel((6, 6)).random_states(1, 3)
        small = TriangularSDModel((6, 6), solver=ExactDiagonalization(n_twists=2))
        large = TriangularSDModel((12, 12), solver=ExactDiagonalization())
        repeated = np.tile(spins, (1, 2, 2, 1))
        field = large.local_field(repeated)[:, :6, :6]
        np.testing.assert_allclose(small.local_field(spins), field, atol=1e-11)
        energy = large.observables(repeated)["energy"][1] / 4
        np.testing.assert_allclose(small.observables(spins)["energy"][1], energy, rtol=1e-12)

    def test_hops_count_how_often_they_go_around(self):
        model = TriangularSDModel((6, 8))
        table, _ = model.neighbours()
        steps = np.array([(r * dx, r * dy) for r in (1, 2) for dx, dy in NEAREST])
        start = np.stack(np.unravel_index(np.arange(48), (6, 8)), axis=-1)[:, None]
        end = np.stack(np.unravel_index(table, (6, 8)), axis=-1)
        np.testing.assert_array_equal(end + model.wraps() * [6, 8], start + steps)

    def test_at_some_sites_is_that_of_all(self):
        for solver in (ExactDiagonalization(), KernelPolynomial(100)):
            model = TriangularSDModel((6, 6), solver=solver)
            spins = model.random_states(2, 4)
            everywhere = model.local_field(spins).reshape(2, 36, 3)
            some = model.local_field(spins, sites=[3, 35, 0])
            np.testing.assert_allclose(some, everywhere[:, [3, 35, 0]], atol=1e-6)


class TestKernelPolynomial:
    def test_converges_exponentially_to_the_exact_field(self):
        exact = TriangularSDModel((12, 12), solver=ExactDiagonalization())
        spins = exact.random_states(1, 5)
        field, energy = exact.local_field(spins), exact.energy(spins)
        errors = []
        for n_moments in (100, 200, 300):
            model = TriangularSDModel((12, 12), solver=KernelPolynomial(n_moments))
            errors.append(relative(model.local_field(spins), field))
            assert model.energy(spins)[0] == pytest.approx(energy[0], rel=2e-5)
        assert errors[0] < 1e-2 and errors[1] < 1e-3 and errors[2] < 3e-5

    def test_suggests_as_many_moments_as_the_tolerance_needs(self):
        exact = TriangularSDModel(**SMALL)
        spins = exact.random_states(2, 6)
        field = exact.local_field(spins)
        numbers = []
        for tol in (1e-2, 1e-3, 1e-4):
            numbers.append(KernelPolynomial.suggest_moments(exact, tol))
            model = TriangularSDModel((6, 6), solver=KernelPolynomial(tol=tol))
            assert relative(model.local_field(spins), field) < 10 * tol
        assert numbers == sorted(set(numbers)) and all(n % 2 == 0 for n in numbers)
        colder = TriangularSDModel((6, 6), temperature=0.025)
        assert KernelPolynomial.suggest_moments(colder, 1e-3) > 1.8 * numbers[1]

    def test_the_jackson_kernel_needs_a_number_of_moments(self):
        model = TriangularSDModel((6, 6), solver=KernelPolynomial(kernel="jackson"))
        with pytest.raises(ValueError, match=r"kernel='jackson' .* choose n_moments"):
            model.local_field(model.random_states(1, 0))

    def test_is_worse_with_the_jackson_kernel(self):
        exact = TriangularSDModel(**SMALL)
        spins = exact.random_states(1, 7)
        field = exact.local_field(spins)
        plain, smeared = (
            relative(
                TriangularSDModel((6, 6), solver=KernelPolynomial(300, kernel)).local_field(spins),
                field,
            )
            for kernel in ("none", "jackson")
        )
        assert plain < 1e-4 < 5e-3 < smeared

    def test_averages_over_periodic_and_antiperiodic_boundaries(self):
        # sides that differ, so that neither of them can stand for the other
        solvers = ExactDiagonalization(n_twists=2), KernelPolynomial(400, n_twists=2)
        exact, model = (TriangularSDModel((6, 8), solver=solver) for solver in solvers)
        spins = exact.random_states(1, 9)
        assert relative(model.local_field(spins), exact.local_field(spins)) < 1e-5
        np.testing.assert_allclose(model.energy(spins), exact.energy(spins), rtol=1e-6)
        periodic = TriangularSDModel((6, 8), solver=KernelPolynomial(400))
        assert relative(periodic.local_field(spins), exact.local_field(spins)) > 0.02

    def test_works_for_sides_that_differ(self):
        exact = TriangularSDModel((5, 8), solver=ExactDiagonalization())
        spins = exact.random_states(1, 8)
        model = TriangularSDModel((5, 8), solver=KernelPolynomial(300))
        assert relative(model.local_field(spins), exact.local_field(spins)) < 1e-4


class TestTextures:
    @pytest.mark.parametrize("offset", [0.0, 0.3])
    def test_a_skyrmion_lattice_has_one_charge_in_each_magnetic_cell(self, offset):
        spins = skyrmion_lattice((24, 36), offset=offset)
        charge = topological_charge(spins)
        np.testing.assert_allclose(abs(charge), 24 * 36 / 48, atol=1e-9)
        np.testing.assert_allclose(topological_charge(-spins), -charge, atol=1e-9)
        np.testing.assert_allclose(topological_density(spins).sum(axis=(1, 2)), charge)

    def test_a_weak_perturbation_keeps_the_charge(self):
        spins = skyrmion_lattice((24, 24), 3, offset=0.2, perturbation=0.05, random_state=0)
        np.testing.assert_allclose(abs(topological_charge(spins)), 12, atol=1e-9)
        assert np.ptp(spins, axis=0).max() > 0.02

    def test_without_an_offset_noise_of_any_strength_turns_one_spin_in_48(self):
        perfect = skyrmion_lattice((24, 24))
        noisy = skyrmion_lattice((24, 24), perturbation=1e-6, random_state=0)
        turned = (perfect * noisy).sum(-1) < 0.5
        assert 0 < turned.sum() <= 24 * 24 / 48
        assert abs(topological_charge(noisy)[0]) < 12

    @pytest.mark.parametrize("name", ["amplitude", "offset", "phase", "perturbation"])
    @pytest.mark.parametrize("value", [np.nan, np.inf, "0.1"])
    def test_a_texture_has_finite_parameters(self, name, value):
        with pytest.raises(ValueError, match=f"{name}=.*expected a finite number"):
            skyrmion_lattice((12, 12), **{name: value})

    def test_a_helix_has_all_weight_at_its_vector_and_no_charge(self):
        for ordering in range(3):
            spins = helix((12, 24), ordering)
            np.testing.assert_allclose(ordering_weight(spins)[0], np.eye(3)[ordering], atol=1e-12)
            assert abs(topological_charge(spins)[0]) < 1e-9

    def test_the_structure_factor_adds_up_to_one_and_peaks_at_the_ordering_vectors(self):
        weight = structure_factor(skyrmion_lattice((24, 24)))[0]
        assert float(weight.sum()) == pytest.approx(1)
        peaks = weight.values > 0.99 * weight.values.max()
        assert peaks.sum() == 6
        # a phase may stand for its images: the shortest of them counts
        q = np.stack([weight.q1.values[peaks.nonzero()[0]], weight.q2.values[peaks.nonzero()[1]]])
        images = (
            q[:, :, None]
            + 2 * np.pi * np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)]).T[:, None]
        )
        length = np.hypot(images[0], (2 * images[1] - images[0]) / np.sqrt(3)).min(axis=-1)
        np.testing.assert_allclose(length, np.pi / 3, rtol=1e-12)

    @pytest.mark.parametrize(
        ("metric", "dims"),
        [
            (topological_charge, ()),
            (topological_density, ("x", "y")),
            (structure_factor, ("q1", "q2")),
            (ordering_weight, ("ordering",)),
        ],
    )
    def test_metrics_keep_the_times_of_a_trajectory_and_know_its_axes_by_name(self, metric, dims):
        spins = skyrmion_lattice((12, 24), 4, offset=0.2, perturbation=0.1, random_state=0)
        run = xr.DataArray(
            spins[None], dims=("sample", "time", "x", "y", "component"),
            coords={"time": [0.0, 2.0, 4.0, 6.0]},
        )  # fmt: skip
        values = metric(run)
        assert values.dims == ("sample", "time", *dims)
        np.testing.assert_array_equal(
            values.sel(time=2.0).values[0], np.asarray(metric(spins[1:2]))[0]
        )
        turned = metric(run.transpose("component", "y", "time", "x", "sample"))
        xr.testing.assert_equal(turned.transpose(*values.dims), values)

    def test_spins_in_space_have_no_charge(self):
        spins = xr.DataArray(np.zeros((1, 4, 4, 4, 3)), dims=("sample", *"xyz", "component"))
        with pytest.raises(ValueError, match="on a plane"):
            topological_charge(spins)

    @pytest.mark.parametrize("shape", [(10, 12), (12,), (0, 12)])
    def test_other_sides_are_refused(self, shape):
        with pytest.raises(ValueError, match="multiples of 12"):
            skyrmion_lattice(shape)


class TestBadInput:
    def test_a_side_that_does_not_hold_the_period_is_warned_about(self):
        model = TriangularSDModel((10, 12), solver=ExactDiagonalization())
        with pytest.warns(UserWarning, match=r"shape=\(10, 12\).*period of 12"):
            model.validate(model.random_states(1, 0))

    @pytest.mark.parametrize(
        "parameters, message",
        [
            ({"temperature": 0.0}, r"temperature=0.0: expected a positive number"),
            ({"shape": (4, 6)}, r"shape=\(4, 6\): expected two ints of at least 5"),
            ({"J": np.nan}, r"J=nan"),
            ({"spin_half": "no"}, r"spin_half='no': expected True or False"),
            ({"field": (1, 2)}, r"field=\(1, 2\): expected three finite numbers"),
            ({"solver": KernelPolynomial(101)}, r"n_moments=101: expected an even number"),
            ({"solver": KernelPolynomial(kernel="x")}, r"kernel='x'"),
            ({"solver": KernelPolynomial(tol=2.0)}, r"tol=2.0"),
            ({"solver": ExactDiagonalization(0)}, r"n_twists=0"),
            ({"solver": KernelPolynomial(n_twists=3)}, r"n_twists=3: .*so 1 or 2"),
        ],
    )
    def test_parameters(self, parameters, message):
        spins = TriangularSDModel((6, 6)).random_states(1, 0)
        with pytest.raises(ValueError, match=message):
            TriangularSDModel(**{"shape": (6, 6), **parameters}).local_field(spins)

    @pytest.mark.parametrize("solver", ["ED", ExactDiagonalization])
    def test_a_solver_is_an_object_that_solves(self, solver):
        model = TriangularSDModel((6, 6), solver=solver)
        with pytest.raises(TypeError, match=r"solver=.*such as ExactDiagonalization\(\)"):
            model.local_field(model.random_states(1, 0))
