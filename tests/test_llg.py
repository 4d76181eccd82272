"""Landau-Lifshitz-Gilbert steps: order, damping, noise, guarantees, itinerant spins."""

import numpy as np
import pytest
import xarray as xr

from dlintegrate import (
    DampedMidpoint,
    ExactDiagonalization,
    HeisenbergLattice,
    ImplicitMidpoint,
    KernelPolynomial,
    LennardJones2D,
    RungeKutta4,
    SemiImplicitB,
    TriangularSDModel,
)
from dlintegrate.testing import check_integrator

LATTICE = HeisenbergLattice((4, 4))
BOTH = [SemiImplicitB, DampedMidpoint]


@pytest.mark.parametrize(
    "integrator",
    [
        SemiImplicitB(LATTICE, 0.05),
        SemiImplicitB(LATTICE, 0.05, damping=0.2, drop_longitudinal=True),
        SemiImplicitB(LATTICE, 0.05, damping=0.2, temperature=0.3, random_state=1),
        DampedMidpoint(LATTICE, 0.05),
        DampedMidpoint(LATTICE, 0.05, damping=0.2),
        RungeKutta4(LATTICE, 0.05, damping=0.2),
    ],
    ids=[
        "plain", "damped, no longitudinal field", "noisy", "midpoint", "damped midpoint",
        "Runge-Kutta",
    ],
)  # fmt: skip
def test_keeps_what_it_declares(integrator):
    check_integrator(integrator, max_examples=4)


@pytest.mark.parametrize("damping", [0.0, 0.3])
@pytest.mark.parametrize(
    "make", [SemiImplicitB, DampedMidpoint,
             lambda *a: SemiImplicitB(*a, drop_longitudinal=True)],
    ids=["SIB", "midpoint", "SIB without longitudinal field"],
)  # fmt: skip
def test_converges_at_second_order(make, damping):
    start = LATTICE.random_states(2, 0, order=1.0)
    exact = DampedMidpoint(LATTICE, 1e-3, damping).step(start, 1000)
    errors = [np.abs(make(LATTICE, 1 / n, damping).step(start, n) - exact).max() for n in (25, 50)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_runge_kutta_converges_at_fourth_order(damping):
    start = LATTICE.random_states(2, 0, order=1.0)
    exact, coarse, fine = (
        RungeKutta4(LATTICE, 1 / n, damping).step(start, n) for n in (400, 40, 80)
    )
    errors = [np.abs(other - exact).max() for other in (coarse, fine)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.15)
    second = DampedMidpoint(LATTICE, 1e-3, damping).step(start, 1000)
    assert np.abs(second - exact).max() < 2e-6  # both converge to the same


def test_runge_kutta_declares_neither_symplecticity_nor_noise():
    step = RungeKutta4(LATTICE, 0.1)
    assert step.guarantees == {"norm", "rotation_equivariant", "translation_equivariant"}
    assert step.temperature == 0 and "temperature" not in step.get_params()


def test_one_damped_spin_follows_the_analytic_solution():
    # in a field B along z: tan(θ/2) shrinks as e^{-αBt} and φ advances by -Bt
    system = HeisenbergLattice((3,), J=0.0, field=(0, 0, 1.5))
    start = np.zeros((1, 3, 3))
    start[..., 0], start[..., 2] = np.sin(2.0), np.cos(2.0)
    t, damping = 2.0, 0.3
    theta = 2 * np.arctan(np.tan(1.0) * np.exp(-damping * 1.5 * t))
    phi = -1.5 * t
    expected = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
    for kind in (*BOTH, RungeKutta4):
        after = kind(system, 1e-3, damping).step(start, 2000)
        np.testing.assert_allclose(after[0], np.broadcast_to(expected, (3, 3)), atol=2e-6)


def test_without_damping_the_midpoint_is_the_symplectic_rule():
    start = LATTICE.random_states(3, 1)
    expected = ImplicitMidpoint(LATTICE, 0.1).step(start, 10)
    np.testing.assert_allclose(DampedMidpoint(LATTICE, 0.1).step(start, 10), expected, atol=1e-11)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_noise_and_damping_balance_at_the_langevin_function(kind, temperature):
    system = HeisenbergLattice((5, 5, 5), J=0.0, field=(0, 0, 1.0))
    options = {"tol": 1e-9} if kind is DampedMidpoint else {}
    step = kind(system, 0.05, 0.5, temperature, random_state=2, **options)
    states = step.step(system.random_states(4, 3), 200)
    means = []
    for _ in range(40):
        states = step.step(states, 20)
        means.append(states[..., 2].mean(axis=(1, 2, 3)))
    means = np.array(means).mean(axis=0)  # four independent runs
    error = means.std(ddof=1) / 2
    expected = 1 / np.tanh(1 / temperature) - temperature
    assert abs(means.mean() - expected) < 5 * error + 2e-3  # 2e-3: what the step leaves
    assert error < 1e-2


def test_noise_is_repeatable_and_differs_between_samples_steps_and_seeds():
    same = np.repeat(LATTICE.random_states(1, 4), 2, axis=0)
    same[1] = same[1][::-1]
    step = SemiImplicitB(LATTICE, 0.1, 0.5, 0.5, random_state=7)
    a, b = step.step(same), step.step(same)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a[0] - a[1][::-1]).max() > 1e-3
    other = SemiImplicitB(LATTICE, 0.1, 0.5, 0.5, random_state=8).step(same)
    assert np.abs(a - other).max() > 1e-3


def test_copies_of_a_state_have_noise_of_their_own(tmp_path):
    start = np.repeat(LATTICE.random_states(1, 4), 3, axis=0)
    step = SemiImplicitB(LATTICE, 0.1, 0.5, 0.5, random_state=7)
    run = step.simulate(start, t_max=1.0)
    np.testing.assert_array_equal(run.spin[:1], step.simulate(start[:1], t_max=1.0).spin)
    ends = run.spin.values[:, -1]
    overlap = np.einsum("axyc,bxyc->ab", ends, ends) / ends[0, ..., 0].size
    assert overlap[np.triu_indices(3, 1)].max() < 0.9
    step.simulate(start, t_max=0.0, path=tmp_path / "run.nc")
    xr.testing.assert_equal(step.resume(tmp_path / "run.nc", 1.0).spin, run.spin)


@pytest.mark.parametrize("random_state", [-1, 1.5, np.random.default_rng(0)])
def test_noise_is_seeded_by_an_int(random_state):
    step = SemiImplicitB(LATTICE, 0.1, 0.5, 0.5, random_state=random_state)
    with pytest.raises(ValueError, match=r"random_state=.*expected an int of at least 0"):
        step.step(LATTICE.random_states(1, 4))


@pytest.mark.filterwarnings("ignore:.*period of 12 sites")
@pytest.mark.parametrize("kind", [*BOTH, RungeKutta4])
def test_itinerant_spins_keep_or_lose_their_grand_potential(kind):
    model = TriangularSDModel((6, 6), solver=ExactDiagonalization())
    start = model.random_states(1, 5)
    free = kind(model, 0.5).simulate(start, 5.0, save_every=5).energy.values[0]
    damped = kind(model, 0.5, damping=0.3).simulate(start, 5.0, save_every=5).energy.values[0]
    assert (np.diff(damped) < 0).all()
    assert np.ptp(free) < 0.02 * np.ptp(damped)


def test_noise_needs_damping():
    with pytest.raises(ValueError, match=r"temperature=0.5 with damping=0"):
        SemiImplicitB(LATTICE, 0.1, temperature=0.5).step(LATTICE.random_states(1, 0))


def test_damping_is_not_negative():
    with pytest.raises(ValueError, match=r"damping=-1: expected a number, 0 or more"):
        DampedMidpoint(LATTICE, 0.1, damping=-1).step(LATTICE.random_states(1, 0))


def test_particles_have_no_local_field():
    fluid = LennardJones2D()
    with pytest.raises(TypeError, match="SemiImplicitB needs spins in a local field"):
        SemiImplicitB(fluid, 0.1).step(fluid.random_states(1, 0))


def test_a_midpoint_that_does_not_converge_fails_in_that_sample_alone():
    strong = HeisenbergLattice((4, 4), J=1.0)
    states = strong.random_states(2, 6)
    states[1] = [0.0, 0.0, 1.0]
    with pytest.warns(RuntimeWarning, match=r"sample 0 \(1 of 2\)"):
        after = DampedMidpoint(strong, 3.0, max_iterations=20).step(states)
    assert np.isnan(after[0]).all()
    np.testing.assert_allclose(after[1], states[1])


@pytest.mark.filterwarnings("ignore:.*period of 12 sites")
def test_a_field_in_single_precision_is_good_enough_for_the_midpoint():
    model = TriangularSDModel((6, 6), field=(0, 0, 0))  # the kernel polynomial method
    exact = TriangularSDModel((6, 6), field=(0, 0, 0), solver=ExactDiagonalization())
    spins = model.random_states(3, 6)
    after = DampedMidpoint(model, 0.5).step(spins, 2)
    np.testing.assert_allclose(after, DampedMidpoint(exact, 0.5).step(spins, 2), atol=1e-5)
    assert np.abs(np.linalg.norm(after, axis=-1) - 1).max() < 1e-14


@pytest.mark.filterwarnings("ignore:.*period of 12 sites")
@pytest.mark.parametrize(
    "solver", [ExactDiagonalization(), KernelPolynomial(60), None], ids=["ED", "KPM", "default"]
)
@pytest.mark.parametrize("kind", BOTH)
def test_on_itinerant_spins_keeps_what_it_declares(kind, solver):
    step = kind(TriangularSDModel((5, 5), field=(0, 0, 0), solver=solver), 0.2)
    exact = isinstance(solver, ExactDiagonalization)
    assert ("rotation_equivariant" in step.guarantees) == exact
    assert ("symplectic" in step.guarantees) == (exact and kind is DampedMidpoint)
    check_integrator(step, max_examples=1)
