"""Solvers of the electrons: coloured probes, threads, torch."""

import numpy as np
import pytest
import torch

from dlintegrate import ExactDiagonalization, KernelPolynomial, TriangularSDModel
from dlintegrate._kernels import chebyshev_torch
from dlintegrate._kernels.chebyshev_gradient import folded, probed_gradient
from dlintegrate.systems import electrons

pytestmark = pytest.mark.filterwarnings("ignore:.*period of 12 sites")


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def model_of(shape=(6, 6), solver=None, **parameters):
    return TriangularSDModel(shape, solver=solver or KernelPolynomial(300), **parameters)


def probing(n_colors=4, n_moments=300, **parameters):
    return KernelPolynomial(n_moments, method="probing", n_colors=n_colors, **parameters)


class TestProbing:
    @pytest.mark.parametrize("n_moments", [4, 6, 40])
    def test_gradient_is_that_of_the_trace(self, n_moments, rng):
        model = model_of((6, 8))
        neighbours, hopping = model.neighbours()
        colours = np.arange(48) % 20  # more than fit into the lanes: the last are not probed
        phases = np.stack([np.cos(angle := rng.uniform(0, 7, 48)), np.sin(angle)], axis=-1)
        products = folded(rng.normal(size=n_moments))

        def estimate(blocks):
            out = np.empty((48, 4))
            arguments = neighbours, np.tile(-hopping / 7, (48, 1)), colours, phases, 0
            return probed_gradient(blocks, *arguments, *products, out), out

        onsite = rng.normal(size=(48, 4)) / 7
        up, down, real, imaginary = estimate(onsite)[1].T
        # by energy, x, y and z of the on-site block
        gradient = np.stack([up + down, 2 * real, -2 * imaginary, up - down], axis=-1)
        step = 1e-6 * rng.normal(size=onsite.shape)
        difference = estimate(onsite + step)[0] - estimate(onsite - step)[0]
        assert difference == pytest.approx(2 * (gradient * step).sum(), rel=1e-6)

    def test_trace_is_the_sum_of_the_series(self, rng):
        # dense matrices, and 16 colours from the 3rd on
        model = model_of((6, 8))
        neighbours, hopping = model.neighbours()
        onsite = np.zeros((48, 4))
        spins = model.random_states(1, rng)[0]
        onsite[:, 1:] = -spins.reshape(-1, 3) / 7
        colours, phases = np.arange(48) % 24, np.tile([0.6, 0.8], (48, 1))
        series = rng.normal(size=12)
        out = np.empty((48, 4))
        hops = np.tile(-hopping / 7, (48, 1))
        energy = probed_gradient(
            onsite, neighbours, hops, colours, phases, 3, *folded(series), out
        )  # fmt: skip
        values, vectors = np.linalg.eigh(model.hamiltonian(spins) / 7)
        function = np.polynomial.chebyshev.chebval(values, series)
        expected = 0.0
        for colour in range(3, 19):
            for spin in range(2):
                probe = np.zeros((48, 2), complex)
                probe[colours == colour, spin] = 0.6 + 0.8j
                expected += (np.abs(vectors.conj().T @ probe.ravel()) ** 2) @ function
        assert energy == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("n_twists, spin_half", [(1, False), (2, True)])
    def test_field_is_the_gradient_of_the_energy_that_is_estimated(
        self, n_twists, spin_half, rng
    ):  # fmt: skip
        model = model_of((6, 8), probing(4, n_twists=n_twists), spin_half=spin_half)
        spins = model.random_states(1, 0)
        field = model.local_field(spins)
        exact = model_of((6, 8), spin_half=spin_half).local_field(spins)
        assert relative(field, exact) > 0.1  # another function, not the exact one
        # along that difference and at random: single precision needs long steps
        for move in (field - exact, rng.normal(size=field.shape)):
            step = 0.02 * np.sqrt(48) / np.linalg.norm(move) * move
            plus, minus = (
                model.observables(spins + sign * step)["energy"][1][0] for sign in (1, -1)
            )
            scale = np.linalg.norm(field) * np.linalg.norm(step)
            assert minus - plus == pytest.approx(2 * (field * step).sum(), abs=2e-3 * scale)

    def test_with_a_colour_for_each_site_is_deterministic(self):
        exact, model = model_of(), model_of(solver=probing(36))
        spins = exact.random_states(2, 1)
        assert relative(model.local_field(spins), exact.local_field(spins)) < 1e-4
        np.testing.assert_allclose(model.energy(spins), exact.energy(spins), rtol=1e-5)
        density = exact.electron_density(spins)
        np.testing.assert_allclose(model.electron_density(spins), density, rtol=1e-4)

    def test_is_unbiased_and_better_with_more_colours(self):
        exact = model_of((12, 12))
        spins = exact.random_states(1, 2)
        field = exact.local_field(spins)
        fields = [
            model_of((12, 12), probing(n_colors, random_state=seed)).local_field(spins)
            for n_colors, n_seeds in ((4, 12), (16, 1), (36, 1))
            for seed in range(n_seeds)
        ]
        error = relative(fields[0], field)
        assert relative(np.mean(fields[:12], axis=0), field) < 0.4 * error
        assert error > 1.5 * relative(fields[-2], field) > 2 * relative(fields[-1], field)

    def test_turns_with_the_spins_and_keeps_their_sum(self, rng):
        model = model_of(solver=probing(4), field=(0, 0, 0))
        spins = model.random_states(1, 3)
        field = model.local_field(spins)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.linalg.det(turn)
        assert relative(model.local_field(spins @ turn.T), field @ turn.T) < 1e-5
        torque = np.cross(spins, field)
        assert np.abs(torque.sum(axis=(0, 1, 2))).max() < 1e-5 * np.abs(torque).sum()

    def test_is_repeatable_unless_asked_not_to(self):
        model = model_of(solver=probing(9))
        spins = model.random_states(3, 4)
        together = model.local_field(spins)
        np.testing.assert_array_equal(model.local_field(spins[2:]), together[2:])
        fresh = model_of(solver=probing(9, random_state=None))
        assert relative(fresh.local_field(spins), fresh.local_field(spins)) > 0.01

    def test_knows_the_energy_even_of_a_few_sites(self):
        model = model_of(solver=probing(9))
        spins = model.random_states(2, 5)
        blocks, omega = model.solver.solve(model, spins)
        some, same = model.solver.solve(model, spins, [7, 0])
        np.testing.assert_array_equal(some, blocks[:, [7, 0]])
        np.testing.assert_array_equal(same, omega)
        assert np.isnan(KernelPolynomial(100).solve(model, spins, [7, 0])[1]).all()


class TestParallel:
    @pytest.mark.parametrize(
        "shape, solver",
        [
            ((12, 12), KernelPolynomial(60, n_twists=2)),
            ((12, 12), probing(36, 60, n_twists=2)),
            ((6, 6), ExactDiagonalization(n_twists=2)),
        ],
    )
    def test_results_do_not_depend_on_the_number_of_threads(self, shape, solver):
        spins = model_of(shape).random_states(2, 6)
        one, three = (
            model_of(shape, type(solver)(**{**solver.get_params(), "n_jobs": n_jobs}))
            for n_jobs in (None, 3)
        )
        np.testing.assert_array_equal(three.local_field(spins), one.local_field(spins))
        np.testing.assert_array_equal(three.energy(spins), one.energy(spins))

    def test_no_samples_have_no_fields(self):
        assert model_of().field_of(np.zeros((0, 6, 6, 3))).shape == (0, 6, 6, 3)
        assert model_of().field_of(np.zeros((0, 6, 6, 3)), [4, 2]).shape == (0, 2, 3)


class TestTorch:
    @pytest.mark.parametrize("n_twists", [1, 2])
    @pytest.mark.parametrize("passes", ["one", "many"])
    def test_agrees_with_the_compiled_code(self, n_twists, passes, monkeypatch):
        if passes == "many":
            monkeypatch.setitem(chebyshev_torch.PASS_BYTES, "cpu", 1 << 17)
            n_samples, n_probed = chebyshev_torch.pass_shape(3, 48, 48, 1 << 17)
            assert n_samples == 1 and n_probed < 24
        shape = (6, 8)
        compiled = model_of(shape, KernelPolynomial(200, n_twists=n_twists))
        model = model_of(shape, KernelPolynomial(200, n_twists=n_twists, device="cpu"))
        spins = model.random_states(3, 7)
        field = compiled.local_field(spins)
        np.testing.assert_allclose(model.local_field(spins), field, atol=2e-6)
        np.testing.assert_allclose(model.energy(spins), compiled.energy(spins), rtol=2e-6)
        some = model.local_field(spins, sites=[40, 3])
        np.testing.assert_allclose(some, field.reshape(3, 48, 3)[:, [40, 3]], atol=2e-6)

    def test_several_passes_may_hold_several_samples_each(self, monkeypatch):
        monkeypatch.setitem(chebyshev_torch.PASS_BYTES, "cpu", 1 << 19)
        assert chebyshev_torch.pass_shape(5, 36, 36, 1 << 19) == (3, 36)
        compiled, model = model_of(), model_of(solver=KernelPolynomial(300, device="cpu"))
        spins = model.random_states(5, 8)
        np.testing.assert_allclose(
            model.local_field(spins), compiled.local_field(spins), atol=2e-6
        )  # fmt: skip

    def test_states_are_diagonalised_in_batches(self):
        model = model_of(solver=ExactDiagonalization())
        spins = model.random_states(3, 9)
        arguments = (0.3, 0.7), np.arange(36), torch.device("cpu")
        blocks, omega = electrons._diagonalise(model, spins, *arguments)
        for i in range(3):
            block, free = electrons._diagonalise(model, spins[i : i + 1], *arguments)
            np.testing.assert_allclose(blocks[i], block[0], atol=1e-13)
            np.testing.assert_allclose(omega[i], free[0], rtol=1e-13)
        by_numpy = np.linalg.eigvalsh(model.hamiltonian(spins[1], (0.3, 0.7)))
        expected = -0.05 * np.logaddexp(0, -(by_numpy - model.mu) / 0.05).sum()
        assert omega[1] == pytest.approx(expected, rel=1e-12)


class TestBadInput:
    @pytest.mark.parametrize(
        "solver, message",
        [
            (KernelPolynomial(method="exact"), r"method='exact': expected 'deterministic' or"),
            (probing(8), r"n_colors=8: .*one of 1, 4, 9, 36"),
            (probing(True), r"n_colors=True"),
            (probing(4, device="cpu"), r"device='cpu': method='probing' runs on processors only"),
            (KernelPolynomial(device="abacus"), r"device='abacus'"),
            (ExactDiagonalization(device="abacus"), r"device='abacus'"),
        ],
    )
    def test_parameters(self, solver, message):
        model = model_of(solver=solver)
        with pytest.raises(ValueError, match=message):
            model.local_field(model.random_states(1, 0))

    @pytest.mark.parametrize("solver", [KernelPolynomial(20), probing(4), ExactDiagonalization()])
    @pytest.mark.parametrize("sites", [[36], [-1], [0.5], [[1]], []])
    def test_sites(self, solver, sites):
        model = model_of(solver=solver)
        with pytest.raises(ValueError, match=r"sites=.*0 to 35"):
            model.local_field(model.random_states(1, 0), sites)


def test_colours_are_not_chosen_where_all_choices_are_noise():
    with pytest.raises(ValueError, match=r"the sides \(7, 8\) have no common divisor from 6 to 12"):
        model_of((7, 8), probing(None)).local_field(model_of((7, 8), None).random_states(1, 0))


def test_moments_of_a_step_are_not_searched_for_ever():
    with pytest.raises(ValueError, match=r"temperature=0\.0"):
        KernelPolynomial.suggest_moments(TriangularSDModel((12, 12), temperature=0.0), 1e-3)
