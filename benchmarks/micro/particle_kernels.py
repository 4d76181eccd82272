"""Forces and steps of Lennard-Jones particles: few side by side, many with neighbour lists."""

import pytest

from dlintegrate import LennardJones2D, VelocityVerlet

FEW = LennardJones2D(16, 0.2)
MANY = LennardJones2D(2500, 0.38, cutoff=2.5)
CASES = {"few": (FEW, 256), "many": (MANY, 1)}


def states(system, n_samples):
    """Validated states; many particles have left their lattice."""
    array = system.validate(system.random_states(n_samples, 0))
    return VelocityVerlet(system, 0.005).advance(array, 50)


@pytest.mark.parametrize("case", CASES)
def test_forces(benchmark, case):
    """Forces of all particles; many of them need a list each time."""
    system, n_samples = CASES[case]
    array = states(system, n_samples)
    benchmark(system.forces_of, array)


@pytest.mark.parametrize("case", CASES)
def test_steps(benchmark, case):
    """Twenty steps; with lists, which are kept while they are valid, for many."""
    system, n_samples = CASES[case]
    array, step = states(system, n_samples), VelocityVerlet(system, 0.005)
    benchmark(step.advance, array, 20)
