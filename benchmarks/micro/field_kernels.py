"""Fields of the itinerant magnet on 24²: the series for electrons, and the shipped network."""

import pytest

from dlintegrate import KernelPolynomial, TriangularSDModel, load_pretrained


@pytest.fixture(scope="module")
def model():
    """The s-d model with a series of few moments."""
    return TriangularSDModel((24, 24), solver=KernelPolynomial(60))


@pytest.fixture(scope="module")
def spins(model):
    """One random state."""
    return model.random_states(1, 0)


def test_kernel_polynomial(benchmark, model, spins):
    """The field of 60 moments."""
    model.field_of(spins)
    benchmark(model.field_of, spins)


def test_directional_torque(benchmark, model, spins):
    """The field of ``sd-torque``."""
    learned = load_pretrained("sd-torque").corrector_.stand_in(model)
    learned.field_of(spins)
    benchmark(learned.field_of, spins)
