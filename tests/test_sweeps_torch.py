"""The torch twin of the sweeps agrees with the numba kernel and differentiates."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dlintegrate._kernels.heisenberg import cubic_sides
from dlintegrate._kernels.sweeps import sweep_kernel
from dlintegrate._kernels.sweeps_torch import advance_schedule
from dlintegrate.integrators.composition import halvings_needed

NO_ROWS = np.empty((0, 5))


def random_spins(sides, n=2, seed=0):
    spins = np.random.default_rng(seed).standard_normal((n, *sides, 3))
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


def by_numba(spins, sublattices, coefficients, coupling, bias):
    state = spins.copy().reshape(len(spins), *cubic_sides(spins.shape[1:-1]), 3)
    rows = np.column_stack([sublattices, coefficients])
    max_field = 6 * abs(coupling) + np.linalg.norm(bias)  # of six neighbours
    sweep_kernel(halvings_needed(max_field, rows), True)(
        state, NO_ROWS, rows, NO_ROWS, 1, coupling, np.array(bias)
    )
    return state.reshape(spins.shape)


def by_torch(spins, sublattices, coefficients, coupling, bias):
    return advance_schedule(
        torch.as_tensor(spins), sublattices, torch.as_tensor(coefficients), coupling, bias
    ).numpy()


@pytest.mark.parametrize("sides", [(4,), (6, 4), (4, 6, 8), (4, 4, 4)])
@pytest.mark.parametrize("coupling, bias", [(1.0, (0.0, 0.0, 0.0)), (-0.7, (0.3, -0.2, 0.5))])
def test_agrees_with_the_numba_kernel(sides, coupling, bias):
    rng = np.random.default_rng(1)
    sublattices = [0, 1, 0, 0, 1]
    coefficients = rng.uniform(-1, 1, (5, 4)) * [0.3, 0.005, 0.005, 0.03]
    arguments = (random_spins(sides), sublattices, coefficients, coupling, bias)
    np.testing.assert_allclose(by_torch(*arguments), by_numba(*arguments), rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=15)
@example([-2.0, -1.0, 0.0, 2.0], 1)
@given(st.lists(st.floats(-2.0, 2.0), min_size=4, max_size=4), st.integers(0, 1))
def test_agrees_for_any_sweep(coefficients, sublattice):
    row = np.array([coefficients]) * [1.0, 0.01, 0.01, 0.1]
    arguments = (random_spins((4, 4, 4)), [sublattice], row, 1.0, (0.0, 0.0, 0.1))
    np.testing.assert_allclose(by_torch(*arguments), by_numba(*arguments), rtol=0, atol=1e-12)


def test_only_the_named_sublattice_turns():
    spins = random_spins((4, 4, 4))
    turned = by_torch(spins, [1], np.array([[0.4, 0.0, 0.0, 0.0]]), 1.0, (0.0, 0.0, 0.0))
    even = np.indices((4, 4, 4)).sum(0) % 2 == 0
    np.testing.assert_array_equal(turned[:, even], spins[:, even])
    assert (np.abs(turned[:, ~even] - spins[:, ~even]).max(-1) > 1e-3).all()


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    spins = torch.as_tensor(random_spins((4, 2), n=1)).requires_grad_()
    scale = torch.tensor([0.5, 0.02, 0.02, 0.1], dtype=torch.float64)
    coefficients = torch.rand((3, 4), generator=generator, dtype=torch.float64) * scale
    coefficients.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s, c: advance_schedule(s, [0, 1, 0], c, 1.3, (0.1, 0.0, 0.2)),
        (spins, coefficients),
    )


def test_gradient_is_finite_where_nothing_turns():
    coefficients = torch.zeros((2, 4), dtype=torch.float64, requires_grad=True)
    spins = torch.as_tensor(random_spins((4, 4, 4)))
    advance_schedule(spins, [0, 1], coefficients, 1.0, (0, 0, 0))[..., 0].sum().backward()
    assert torch.isfinite(coefficients.grad).all()
    assert coefficients.grad[:, 0].abs().min() > 0
