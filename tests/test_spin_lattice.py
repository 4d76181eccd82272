"""Spin-lattice dynamics: what steps keep, exact solutions, order."""

import numpy as np
import pytest
from atomic_clusters import SpringCluster

from dlintegrate import HeisenbergLattice, SpinLatticeSplitting
from dlintegrate._units import BOHR_MAGNETON, GYROMAGNETIC, HBAR
from dlintegrate.testing import GUARANTEES, check_integrator

CLUSTER = SpringCluster(4)
STEPS = ["bonds", "sites", "midpoint", "semi-implicit"]


def test_forces_of_the_test_system_are_the_gradient_of_its_energy():
    cluster = SpringCluster(3, field=(1e3, 0, 2e3), anisotropy=0.01, n_bare=1)
    state = cluster.random_states(1, 0)
    known = cluster.evaluate(state)
    for variable, exact in ((0, known.force), (2, known.magnetic_force)):
        for atom, component in np.ndindex(2, 3):
            energies = []
            for sign in (1, -1):
                moved = state.copy()
                moved[0, variable, atom, component] += sign * 1e-5
                energies.append(cluster.compute(moved[:, 0], moved[:, 2]).energy[0])
            slope = -(energies[0] - energies[1]) / 2e-5
            assert slope == pytest.approx(exact[0, atom, component], abs=1e-8)


@pytest.mark.parametrize(
    "integrator",
    [
        *(SpinLatticeSplitting(CLUSTER, 1.0, step) for step in STEPS),
        SpinLatticeSplitting(SpringCluster(3, n_bare=3), 1.0, "midpoint"),
        SpinLatticeSplitting(SpringCluster(4, n_bare=1), 1.0),
        SpinLatticeSplitting(SpringCluster(4, n_bare=2, anisotropy=0.01, field=(0, 0, 1e4)), 1.0),
        SpinLatticeSplitting(CLUSTER, 1.0, friction=0.01),
        SpinLatticeSplitting(CLUSTER, 1.0, damping=0.1),
        SpinLatticeSplitting(CLUSTER, 1.0, friction=0.01, damping=0.1, temperature=300.0),
    ],
    ids=lambda integrator: repr(integrator),
)
def test_keeps_what_it_declares(integrator):
    check_integrator(integrator, max_examples=3)


@pytest.mark.parametrize("step", ["midpoint", "semi-implicit"])
def test_a_spin_in_a_field_precesses_with_the_larmor_frequency(step):
    """``ω = g μ_B B/ħ`` = 0.1759 rad/ps per tesla, counterclockwise about the field."""
    atom = SpringCluster(1, field=(0.0, 0.0, 1000.0))
    state = np.zeros((1, 3, 1, 3))
    state[0, 2, 0] = 2.2 * np.array([0.6, 0.0, 0.8])
    after = SpinLatticeSplitting(atom, 0.01, step).step(state, 1000)[0, 2, 0]
    angle = np.arctan2(after[1], after[0])
    assert angle == pytest.approx(-1000.0 * 2 * BOHR_MAGNETON / HBAR * 10.0, rel=1e-6)
    assert after[2] == pytest.approx(1.76, abs=1e-12)


def resting_dimer(**options):
    """Two atoms at their distance of rest, too heavy to move."""
    dimer = SpringCluster(2, J=0.2, slope=0.0, mass=1e12, **options)
    state = dimer.random_states(1, 3)
    state[0, 0] = [[0.0, 0.0, 0.0], [2.4, 0.0, 0.0]]
    state[0, 1] = 0.0
    return dimer, state


@pytest.mark.parametrize("step", ["bonds", "midpoint", "sites", "semi-implicit"])
def test_two_spins_precess_about_their_sum(step):
    """``dS_1/dt = (2/ħ) (J/μ²) S_1 × (S_1 + S_2)``; bonds have this exactly at any step."""
    dimer, state = resting_dimer()
    first, total = state[0, 2, 0], state[0, 2].sum(axis=0)
    rate = GYROMAGNETIC * 0.2 / 2.2**2 * np.linalg.norm(total)
    axis = total / np.linalg.norm(total)
    dt, n_steps = (2.0, 5) if step == "bonds" else (0.01, 1000)
    after = SpinLatticeSplitting(dimer, dt, step).step(state, n_steps)[0, 2, 0]
    angle = rate * 10.0
    along = (first @ axis) * axis
    exact = along + np.cos(angle) * (first - along) + np.sin(angle) * np.cross(first, axis)
    np.testing.assert_allclose(after, exact, atol=1e-12 if step == "bonds" else 1e-4)


def test_a_dimer_of_atoms_without_moments_vibrates_at_its_frequency():
    dimer = SpringCluster(2, n_bare=2)
    state = np.zeros((1, 3, 2, 3))
    state[0, 0, 1, 0] = 2.5  # stretched by 0.1
    period = 2 * np.pi / np.sqrt(2 * dimer.spring / dimer.masses[0])
    dt = period / 1000
    after = SpinLatticeSplitting(dimer, dt).step(state, 250)
    assert np.ptp(after[0, 0, :, 0]) == pytest.approx(2.4, abs=1e-5)
    after = SpinLatticeSplitting(dimer, dt).step(after, 250)
    assert np.ptp(after[0, 0, :, 0]) == pytest.approx(2.3, abs=1e-5)


@pytest.mark.parametrize("step", STEPS)
def test_order_two(step):
    state = CLUSTER.random_states(1, 5)
    reference = SpinLatticeSplitting(CLUSTER, 0.01, "midpoint").step(state, 800)
    errors = [
        np.abs(SpinLatticeSplitting(CLUSTER, dt, step).step(state, round(8 / dt)) - reference).max()
        for dt in (0.4, 0.2)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.15)
    assert errors[1] < 0.05


@pytest.mark.parametrize("step", ["bonds", "sites", "midpoint"])
def test_energy_does_not_drift(step):
    """It fluctuates by the error of a step and is back where it was."""
    run = SpinLatticeSplitting(CLUSTER, 1.0, step).simulate(CLUSTER.random_states(2, 6), 600.0)
    halves = np.split(run.energy.values[:, 1:], 2, axis=1)
    assert (run.energy.std("time") < 3e-5).all()
    assert (np.abs(halves[0].mean(1) - halves[1].mean(1)) < 3e-5).all()


def test_which_steps_are_symplectic_where_exchange_depends_on_distance():
    """Rotations of bonds and kicks at fixed spins are so for one bond, and not for three."""
    rng = np.random.default_rng(0)
    for n_atoms, kept in ((2, {"bonds", "midpoint"}), (3, {"midpoint"})):
        cluster = SpringCluster(n_atoms, J=0.3)
        states = cluster.random_states(1, 1)
        for step in STEPS:
            check = (SpinLatticeSplitting(cluster, 2.0, step), states, 1, rng)
            if step in kept:
                GUARANTEES["symplectic"](*check)
            else:
                with pytest.raises(AssertionError, match="not symplectic"):
                    GUARANTEES["symplectic"](*check)


def test_runs_resume_bit_for_bit(tmp_path):
    splitting = SpinLatticeSplitting(
        CLUSTER, 1.0, friction=0.01, damping=0.1, temperature=300.0, random_state=4
    )
    state = CLUSTER.random_states(2, 7)
    whole = splitting.simulate(state, 40.0, save_every=4)
    splitting.simulate(state, 20.0, save_every=4, path=tmp_path / "run.nc")
    resumed = splitting.resume(tmp_path / "run.nc", 40.0)
    np.testing.assert_array_equal(resumed.phase_space.values, whole.phase_space.values)


def test_a_lost_sample_does_not_harm_the_others():
    states = CLUSTER.random_states(2, 8)
    spoiled = states.copy()
    spoiled[0, 1] = 1e140
    for step in STEPS:
        splitting = SpinLatticeSplitting(CLUSTER, 1.0, step)
        with np.errstate(all="ignore"):
            result = splitting.advance(spoiled, 5)
        assert not CLUSTER.healthy(result)[0]
        np.testing.assert_array_equal(result[1:], splitting.advance(states[1:], 5))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"spin_step": "leapfrog"}, "spin_step='leapfrog'"),
        ({"temperature": 300.0}, "needs the friction"),
        ({"friction": 0.1, "spin_temperature": 300.0}, "needs the friction"),
        ({"damping": -1.0}, "damping=-1.0"),
        ({"friction": 0.1, "dt": -1.0}, "do not go back in time"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    splitting = SpinLatticeSplitting(CLUSTER, **{"dt": 1.0, **options})
    with pytest.raises(ValueError, match=message):
        splitting.step(CLUSTER.random_states(1, 0))


def test_bonds_need_exchange_alone():
    cluster = SpringCluster(3, anisotropy=0.1)
    with pytest.raises(ValueError, match="use 'midpoint'"):
        SpinLatticeSplitting(cluster, 1.0, "bonds").step(cluster.random_states(1, 0))
    assert "symplectic" in SpinLatticeSplitting(cluster, 1.0).guarantees  # auto is midpoint


def test_spins_alone_are_refused():
    lattice = HeisenbergLattice(4)
    with pytest.raises(TypeError, match="atoms with moments"):
        SpinLatticeSplitting(lattice, 1.0).step(lattice.random_states(1, 0))
