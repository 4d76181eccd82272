"""Spin-lattice dynamics: what steps keep, exact solutions, order."""

import numpy as np
import pytest
from atomic_clusters import SpringCluster

from dlintegrate import HeisenbergLattice, SpinLatticeSplitting
from dlintegrate._units import BOHR_MAGNETON, GYROMAGNETIC, HBAR
from dlintegrate.testing import check_integrator

CLUSTER = SpringCluster(4)
STEPS = ["bonds", "sites", "midpoint", "semi-implicit"]


@pytest.mark.parametrize("step", STEPS)
def test_forces_of_the_test_system_are_the_gradient_of_its_energy(step):
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
