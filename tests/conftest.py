import os

# two workers share two cores; threads of theirs would wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from dlintegrate import HeisenbergLattice


@pytest.fixture
def rng():
    return np.random.default_rng(20220225)


@pytest.fixture
def lattice():
    return HeisenbergLattice(shape=4)
