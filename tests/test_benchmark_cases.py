"""The benchmark cases of the itinerant magnet and of iron: states, units, who is judged by what."""

import warnings

import numpy as np
import pytest

from dlintegrate import (
    ExactDiagonalization,
    KernelPolynomial,
    LennardJones2D,
    RungeKutta4,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    TriangularSDModel,
    VelocityVerlet,
)
from dlintegrate.benchmark import make_case
from dlintegrate.benchmark.crystal import thermal
from dlintegrate.benchmark.measure import errors, reversal_error
from dlintegrate.benchmark.sd import JudgedByExact, model

IRON = SpinLatticeCrystal(size=2)


def small_magnet(solver):
    """36 spins in no field."""
    return TriangularSDModel((6, 6), field=(0.0, 0.0, 0.0), solver=solver)


def test_steps_in_a_cheap_field_are_judged_by_the_exact_energy():
    exact, cheap = small_magnet(ExactDiagonalization()), small_magnet(KernelPolynomial(16))
    inner = RungeKutta4(cheap, 2.0)
    spins = exact.random_states(1, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # six sites are no magnetic period
        run = JudgedByExact(exact, inner).simulate(spins, 4.0)
        last = run.spin.values[:, -1]
        np.testing.assert_array_equal(last, inner.step(spins, 2))
        np.testing.assert_allclose(run.energy.values[:, -1], exact.energy(last), rtol=1e-12)
        assert abs(cheap.energy(last) - exact.energy(last))[0] > 1e-4


def test_reversed_spins_go_back_in_time():
    """Why the case has no external field: the step retraces itself up to its own small error."""
    case = make_case("sd")
    exact = small_magnet(ExactDiagonalization())
    assert not model().bias.any()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        array = exact.validate(exact.random_states(1, 0))
        way = errors(exact, RungeKutta4(exact, 1.0).advance(array, 8), array)["error"]
        back = reversal_error(RungeKutta4(exact, 1.0), array, 8.0, case.reverse)
    assert back < 1e-3 * way


def test_thermal_iron_has_its_temperature_and_rests_as_a_whole():
    states = thermal(IRON, 300.0, 8, 0)
    momenta = states.values[:, 1]
    assert np.abs(momenta.sum(axis=1)).max() < 1e-9
    degrees = 3 * (IRON.n_sites - 1)
    kinetic = 0.5 * (momenta**2).sum(axis=(1, 2)) / IRON.masses[0]
    temperatures = 2 * kinetic / degrees / 8.617333262e-5
    error = 300.0 * np.sqrt(2 / degrees / len(temperatures))
    assert abs(temperatures.mean() - 300.0) < 5 * error


def test_the_error_of_iron_counts_all_variables_alike():
    """A tenth of an ångström, a thermal momentum and a whole moment each count as one."""
    case = make_case("crystal")
    momentum = np.sqrt(IRON.masses[0] * 8.617333262e-5 * 300.0)
    states = IRON.validate(IRON.random_states(1, 0))
    for variable, unit in enumerate((0.1, momentum, 2.2)):
        moved = states.copy()
        moved[:, variable, :, 0] += unit
        found = errors(IRON, moved / case.scale, states / case.scale)["error"]
        assert found == pytest.approx(1.0, rel=1e-9)


def test_reversed_momenta_and_moments_retrace_the_way_of_iron():
    case = make_case("crystal")
    step = SpinLatticeSplitting(IRON, 1.0, "bonds")
    array = thermal(IRON, 300.0, 1, 1).values
    assert reversal_error(step, array, 20.0, case.reverse, case.scale) < 1e-9
    only_momenta = np.array([1.0, -1.0, 1.0])[:, None, None]
    assert reversal_error(step, array, 20.0, lambda a: a * only_momenta, case.scale) > 1e-3


def test_distances_are_taken_in_the_units_of_the_case():
    fluid = LennardJones2D(16, 0.2)
    array = fluid.validate(fluid.random_states(2, 0))
    step = VelocityVerlet(fluid, 0.01)
    plain = reversal_error(step, array, 0.1, lambda a: a)
    assert plain > 0
    assert reversal_error(step, array, 0.1, lambda a: a, 4.0) == pytest.approx(plain / 4)
