"""Sweeps, heat bath and midpoint rule of Heisenberg spins, 16³."""

import numpy as np
import pytest

from dlintegrate import BlanesMoan4, HeisenbergLattice, ImplicitMidpoint, SuzukiTrotter2
from dlintegrate._kernels import monte_carlo
from dlintegrate._kernels.random import stream

SYSTEM = HeisenbergLattice(16)
SPINS = SYSTEM.random_states(1, 0)


@pytest.mark.parametrize("kind", [SuzukiTrotter2, BlanesMoan4], ids=lambda kind: kind.__name__)
def test_sweeps(benchmark, kind):
    """Ten steps."""
    step = kind(SYSTEM, 0.1)
    step.advance(SPINS, 1)
    benchmark(step.advance, SPINS, 10)


def test_spherical_midpoint(benchmark):
    """One step, iterated to its fixed point."""
    step = ImplicitMidpoint(SYSTEM, 0.1)
    step.advance(SPINS, 1)
    benchmark(step.advance, SPINS, 1)


def test_heat_bath(benchmark):
    """Four sweeps, with over-relaxation between them."""
    spins, numbers = SPINS[0].copy(), stream(np.random.SeedSequence(0))

    def sweep():
        monte_carlo.heat_bath(spins, 1.44, 4, 1, 1.0, np.zeros(3), numbers)

    sweep()
    benchmark(sweep)
