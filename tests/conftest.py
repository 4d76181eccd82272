import numpy as np
import pytest

from dlintegrate import HeisenbergLattice


@pytest.fixture
def rng():
    return np.random.default_rng(20220225)


@pytest.fixture
def lattice():
    return HeisenbergLattice(shape=4)
