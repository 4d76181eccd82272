"""Elementary differentials: the algebra of the trees, their sums, and the correction they make."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    ImplicitMidpoint,
    SuzukiTrotter2,
    SuzukiTrotter4,
    sample_canonical,
)
from dlintegrate._kernels.tree_program import compile_program, trees
from dlintegrate.correctors import elementary
from dlintegrate.testing import check_integrator

TEMPERATURES = (0.4, 1.44, 2.4)


def random_spins(sides, n=2, seed=0):
    spins = np.random.default_rng(seed).normal(size=(n, *sides, 3))
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


def tangent_sum(system, spins, order, weights):
    """Σ weights[t] t at ``spins``, perpendicular to them, the same weights on both sublattices."""
    return elementary.sum_trees(system, spins, spins, order, np.array([weights, weights]))


def with_weights(order, min_order, coefficients, dt=0.3):
    """A corrector whose weights are given instead of fitted."""
    corrector = ElementaryDifferentialResidue(order=order, min_order=min_order)
    corrector.coef_, corrector.dt_ = np.asarray(coefficients, dtype=float), dt
    return corrector


def random_weights(order, n_sublattices, min_order=3, seed=1):
    n_trees = int((trees(order).orders >= min_order).sum())
    return np.random.default_rng(seed).normal(size=(n_sublattices, n_trees))


def equilibrium(side, n_each, seed):
    samples = [
        sample_canonical(HeisenbergLattice(side), T, n_each, random_state=seed + i)
        for i, T in enumerate(TEMPERATURES)
    ]
    return np.concatenate([np.asarray(s) for s in samples])


def one_step_error(step, states):
    exact = BlanesMoan4(step.system.matching(states), step.dt / 10).advance(states, 10)
    return np.sqrt(((step.advance(states, 1) - exact) ** 2).sum(-1).mean())


def base_error(base, states, labels):
    return np.sqrt(((base.advance(states, 1) - labels) ** 2).sum(-1).mean())


@pytest.fixture(scope="module")
def fitted():
    base = SuzukiTrotter2(HeisenbergLattice(6), 0.1)
    samples = equilibrium(6, 8, seed=10)
    labels = BlanesMoan4(base.system, 0.01).advance(samples, 10)
    return ElementaryDifferentialResidue(order=5).fit(base, samples, labels), base


def test_trees_are_counted_by_the_catalan_numbers():
    assert np.bincount(trees(6).orders).tolist() == [1, 1, 2, 5, 14, 42, 132]
    assert len(set(trees(6).names)) == 197


def test_the_first_tree_is_the_torque():
    system = HeisenbergLattice((4, 6), J=-0.7, field=(0.1, 0.2, -0.3))
    spins = random_spins((4, 6))
    torque = tangent_sum(system, spins, 1, [0.0, 1.0])
    assert trees(1).names == ("S", "S×h(S)")
    np.testing.assert_allclose(torque, np.cross(spins, system.local_field(spins)), atol=1e-14)


def derivative(polynomial, table):
    """Time derivative of a sum of trees: each S in turn becomes S × h(S)."""
    index = {pair: t for t, pair in enumerate(table.pairs)}

    def of(t):
        if t == 0:
            return {1: 1}
        x, y = table.pairs[t]
        total = {}
        for u, weight in of(x).items():
            total[index[u, y]] = total.get(index[u, y], 0) + weight
        for u, weight in of(y).items():
            total[index[x, u]] = total.get(index[x, u], 0) + weight
        return total

    result = {}
    for t, weight in polynomial.items():
        for u, factor in of(t).items():
            result[u] = result.get(u, 0) + weight * factor
    return result


@pytest.mark.parametrize("field", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.5)])
def test_trees_make_the_taylor_series_of_the_exact_flow(field):
    """dⁿS/dtⁿ is a sum of trees of order n, so the truncated series errs by dt^(n+1)."""
    system = HeisenbergLattice((4, 4, 4), J=0.8, field=field)
    spins = random_spins((4, 4, 4))
    order = 6
    table = trees(order)
    series, polynomial = np.zeros(len(table.orders)), {0: 1}
    for n in range(1, order + 1):
        polynomial = derivative(polynomial, table)
        for t, weight in polynomial.items():
            series[t] = weight / math.factorial(n)
    errors = {}
    for dt in (0.04, 0.02):
        moved = SuzukiTrotter4(system, dt / 400).advance(spins, 400) - spins
        exact = moved - (moved * spins).sum(-1, keepdims=True) * spins
        for n in range(1, order + 1):
            kept = np.where(table.orders <= n, series * dt**table.orders, 0.0)
            taylor = tangent_sum(system, spins, order, kept)
            errors[n, dt] = np.abs(taylor - exact).max()
    for n in range(1, order + 1):
        assert math.log2(errors[n, 0.04] / errors[n, 0.02]) == pytest.approx(n + 1, abs=0.3)


@settings(max_examples=12, deadline=None)
@given(
    order=st.integers(1, 6),
    min_order=st.integers(1, 3),
    sides=st.sampled_from([(4,), (6, 4), (4, 6), (4, 4, 6), (10, 4, 4)]),
    n_sublattices=st.integers(1, 2),
    field=st.sampled_from([(0.0, 0.0, 0.0), (0.2, -0.4, 0.1)]),
    seed=st.integers(0, 1000),
)
def test_planned_sum_torch_twin_and_tree_by_tree_agree(
    order, min_order, sides, n_sublattices, field, seed
):
    """On either layout of the kernel, in one to three dimensions."""
    min_order = min(order, min_order)
    sides = sides if n_sublattices == 2 else tuple(side + 1 for side in sides)
    system = HeisenbergLattice(sides, J=-0.6, field=field)
    before, after = random_spins(sides, 2, seed), random_spins(sides, 2, seed + 1)
    corrector = with_weights(order, min_order, random_weights(order, n_sublattices, min_order))
    weights = corrector._weights()
    features = elementary._features(system, before, after, order, min_order)
    chosen = weights[:, trees(order).orders >= min_order]
    parity = np.indices(sides).sum(0) % n_sublattices
    one_by_one = np.einsum("n...ct,...t->n...c", features, chosen[parity])
    planned = elementary.sum_trees(system, before, after, order, weights)
    tensors = torch.tensor(before), torch.tensor(after)
    twin = elementary.sum_trees_tensor(system, *tensors, order, weights)
    scale = np.abs(one_by_one).max()
    np.testing.assert_allclose(planned, one_by_one, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(twin.numpy(), planned, rtol=0, atol=1e-12 * scale)
    whole = corrector.residue(system, before, after)
    whole_twin = corrector.residue_tensor(system, *tensors)
    np.testing.assert_allclose(whole_twin.numpy(), whole, rtol=0, atol=1e-12)


def test_a_plan_makes_fewer_products_than_there_are_trees():
    weights = random_weights(6, 2, min_order=0)
    rows = compile_program(6, weights).rows
    assert len(rows) < 2 * 197


def test_torch_twin_is_differentiable():
    system = HeisenbergLattice((4,))
    corrector = with_weights(3, 3, random_weights(3, 2))
    spins = torch.tensor(random_spins((4,), 1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: corrector.residue_tensor(system, s, s), (spins,))


@pytest.mark.parametrize("base_class", [SuzukiTrotter2, ImplicitMidpoint])
def test_residues_made_of_trees_give_back_their_weights(base_class):
    """Linear exactness, one set of weights for the midpoint and two for the sublattice steps."""
    base = base_class(HeisenbergLattice((4, 4, 4), J=-1.0, field=(0.0, 0.0, 0.4)), 0.1)
    n_sublattices = 2 if base_class is SuzukiTrotter2 else 1
    weights = random_weights(4, n_sublattices)
    known = with_weights(4, 3, weights, dt=0.1)
    before = random_spins((4, 4, 4), 6)
    labels = known.bind(base).advance(before, 1)
    corrector = ElementaryDifferentialResidue(order=4, alpha=0.0).fit(base, before, labels)
    np.testing.assert_allclose(corrector.coef_, weights, rtol=0, atol=1e-7)
    assert corrector.trees_ == trees(4).names[4:]
    assert corrector.history_["loss"][0] < 1e-12 < corrector.history_["base"][0]


def test_one_step_error_on_unseen_samples(fitted):
    """Physics of the step: 61 trees take dt = 0.1 below the error of ST2 at 0.01."""
    corrector, base = fitted
    corrected = corrector.bind(base)
    for states in np.split(equilibrium(6, 3, seed=50), 3):
        error = one_step_error(corrected, states)
        assert error <= 5e-6
        assert error < 0.003 * one_step_error(base, states)


def test_weights_fitted_on_small_lattices_serve_larger_ones():
    base = SuzukiTrotter2(HeisenbergLattice(4), 0.1)
    samples = equilibrium(4, 12, seed=30)
    corrector = ElementaryDifferentialResidue(order=4).fit(
        base, samples, BlanesMoan4(base.system, 0.01).advance(samples, 10)
    )
    corrected = corrector.bind(base)
    small = one_step_error(corrected, equilibrium(4, 6, seed=40))
    large = one_step_error(corrected, equilibrium(8, 2, seed=40))
    assert corrector.local
    assert large < 1.2 * small


def test_odd_orders_gain_about_a_factor_of_ten_and_even_ones_little(fitted):
    """In the middle of a symmetric step the error has odd orders only."""
    _, base = fitted
    samples = equilibrium(6, 4, seed=10)
    labels = BlanesMoan4(base.system, 0.01).advance(samples, 10)
    left = [
        ElementaryDifferentialResidue(order=n).fit(base, samples, labels).history_["loss"][0]
        for n in (3, 4, 5)
    ]
    assert left[0] < 0.02 * base_error(base, samples, labels)
    assert left[0] > left[1] > 0.9 * left[0]
    assert left[2] < 0.15 * left[1]


@pytest.mark.parametrize("field", [(0.0, 0.0, 0.0), (0.0, 0.3, 0.0)])
def test_keeps_norm_and_equivariance_with_sublattice_weights(field):
    base = SuzukiTrotter2(HeisenbergLattice((4, 4, 4), field=field), 0.2)
    samples = random_spins((4, 4, 4), 10)
    integrator = CorrectedIntegrator(base, ElementaryDifferentialResidue(order=4)).fit(samples)
    expected = {"norm", "even_translation_equivariant"}
    if not any(field):
        expected |= {"rotation_equivariant"}
    assert integrator.guarantees == expected
    check_integrator(integrator, max_examples=3)


def test_odd_sides_with_a_base_that_treats_all_sites_alike():
    base = ImplicitMidpoint(HeisenbergLattice((5, 3, 7)), 0.1)
    samples = random_spins((5, 3, 7), 10)
    integrator = CorrectedIntegrator(base, ElementaryDifferentialResidue(order=4)).fit(samples)
    assert integrator.corrector_.coef_.shape == (1, 19)
    assert "translation_equivariant" in integrator.guarantees
    check_integrator(integrator, max_examples=3)
    fresh = random_spins((5, 3, 7), 4, seed=5)
    exact = base.with_dt(0.002).advance(fresh, 50)
    left = np.sqrt(((integrator.step(fresh) - exact) ** 2).sum(-1).mean())
    # the length of the mean spin, which the midpoint divides by, is not made of trees
    assert left < 0.6 * np.sqrt(((base.step(fresh) - exact) ** 2).sum(-1).mean())


def test_corrects_a_fourth_order_step_too():
    base = SuzukiTrotter4(HeisenbergLattice(4), 0.2)
    samples = equilibrium(4, 10, seed=60)
    corrector = ElementaryDifferentialResidue(order=5, min_order=5)
    labels = BlanesMoan4(base.system, 0.01).advance(samples, 20)
    history = corrector.fit(base, samples, labels).history_
    assert history["validation_loss"][0] < 0.5 * history["base"][0]


def test_projection_restores_energy_and_magnetization_exactly(fitted):
    corrector, base = fitted
    states = equilibrium(4, 2, seed=70)
    integrator = CorrectedIntegrator(base, corrector, projection=("energy", "magnetization")).fit(
        equilibrium(6, 4, seed=10)
    )
    trajectory = integrator.simulate(states, 5.0, save_every=10)
    energy, magnetization = trajectory.energy.values, trajectory.magnetization.values
    assert np.abs(energy - energy[:, :1]).max() < 1e-12 * 64
    assert np.abs(magnetization - magnetization[:, :1]).max() < 1e-12 * 64


def test_fit_does_not_depend_on_the_chunks_it_is_made_in(fitted, monkeypatch):
    _, base = fitted
    samples = equilibrium(6, 3, seed=10)
    labels = BlanesMoan4(base.system, 0.01).advance(samples, 10)
    whole = ElementaryDifferentialResidue(order=4).fit(base, samples, labels)
    monkeypatch.setattr(elementary, "CHUNK_SITES", 300)
    parts = ElementaryDifferentialResidue(order=4).fit(base, samples, labels)
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=0, atol=1e-8)


def test_ridge_penalty_shrinks_the_weights(fitted):
    _, base = fitted
    samples = equilibrium(6, 3, seed=10)
    labels = BlanesMoan4(base.system, 0.01).advance(samples, 10)
    norms = [
        np.linalg.norm(ElementaryDifferentialResidue(4, alpha).fit(base, samples, labels).coef_)
        for alpha in (1e-12, 1e-2, 1e2)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_weights_survive_pickling_bit_for_bit(fitted):
    corrector, base = fitted
    states = random_spins((4, 4, 4))
    again = pickle.loads(pickle.dumps(corrector))
    assert (again.bind(base).step(states) == corrector.bind(base).step(states)).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"order": 2}, r"order=2: expected an int, at least min_order=3"),
        ({"order": 4.5}, r"order=4\.5"),
        ({"min_order": 0}, r"min_order=0: expected an int, 1 or more"),
        ({"alpha": -1.0}, r"alpha=-1\.0: expected a finite number, 0 or more"),
        ({"alpha": float("nan")}, r"alpha=nan"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    base = SuzukiTrotter2(HeisenbergLattice(4), 0.1)
    spins = random_spins((4, 4, 4))
    with pytest.raises(ValueError, match=message):
        ElementaryDifferentialResidue(**parameters).fit(base, spins, spins)


def test_other_time_steps_and_odd_sides_are_refused(fitted):
    corrector, base = fitted
    with pytest.raises(ValueError, match=r"fitted for dt=0\.1; fit again"):
        corrector.bind(SuzukiTrotter2(base.system, 0.2))
    odd = random_spins((5, 4, 4))
    with pytest.raises(ValueError, match=r"\(5, 4, 4\).*even"):
        corrector.residue(HeisenbergLattice((5, 4, 4)), odd, odd)


@pytest.mark.slow
def test_no_worse_on_a_lattice_of_4096_sites(fitted):
    corrector, base = fitted
    for T in TEMPERATURES:
        large = np.asarray(sample_canonical(HeisenbergLattice(16), T, 2, random_state=80))
        assert one_step_error(corrector.bind(base), large) <= 2e-5
