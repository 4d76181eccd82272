"""Check that an integrator keeps what it declares; for our classes and for yours."""

import warnings

import numpy as np
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from .integrators.domain import DomainWarning

#: Largest relative deviation that still counts as rounding.
ROUNDING = 1e-11
#: Largest defect of a Jacobian taken by finite differences.
JACOBIAN_TOLERANCE = 1e-6


def check_integrator(integrator, *, max_examples=10, n_steps=3):
    """Test the interface of an integrator and every guarantee it declares.

    The states are random, disordered to nearly ordered, and drawn by hypothesis,
    which reports the seed of a failing case.

    Parameters
    ----------
    integrator : Integrator
        Fitted, if it has to be. Its system should be small: some tens of spins.
    max_examples : int, default 10
        States drawn per property.
    n_steps : int, default 3
        Steps per check.

    Raises
    ------
    AssertionError
        With the property that does not hold.

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, SuzukiTrotter2
    >>> from dlintegrate.testing import check_integrator
    >>> check_integrator(SuzukiTrotter2(HeisenbergLattice(shape=(4, 4)), dt=0.1), max_examples=3)
    """
    unknown = integrator.guarantees - set(GUARANTEES)
    assert not unknown, f"guarantees {sorted(unknown)} are not known; known: {sorted(GUARANTEES)}"
    checks = [*INTERFACE, *(GUARANTEES[name] for name in sorted(integrator.guarantees))]

    for check in checks:
        _holds(check, integrator, max_examples, n_steps)


def _holds(check, integrator, max_examples, n_steps):
    """Run one check on states drawn by hypothesis."""

    @settings(
        max_examples=max_examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(seed=st.integers(0, 2**32 - 1), order=st.floats(0.0, 5.0))
    def property_holds(seed, order):
        rng = np.random.default_rng(seed)
        states = integrator.system.random_states(3, rng, order)
        with warnings.catch_warnings():  # guarantees hold for states unlike those of the fit, too
            warnings.simplefilter("ignore", DomainWarning)
            check(integrator, states, n_steps, rng)

    property_holds()


def _close(actual, expected, what, tolerance=ROUNDING):
    scale = max(1.0, float(np.abs(expected).max()))
    error = float(np.abs(actual - expected).max())
    assert error <= tolerance * scale, (
        f"{what}: off by {error:.3g} (allowed {tolerance * scale:.3g})"
    )


# What every integrator owes its caller --------------------------------------------------


def _init_only_stores(integrator, states, n_steps, rng):
    try:
        clone(integrator)  # scikit-learn compares what it passes with what is stored
    except (AttributeError, RuntimeError) as error:
        raise AssertionError(f"__init__ does more, or less, than store: {error}") from None


def _input_is_not_modified(integrator, states, n_steps, rng):
    before = states.copy()
    before.flags.writeable = False
    result = integrator.step(before, n_steps)
    assert (before == states).all(), "step modifies its input"
    assert result.shape == states.shape and result.dtype == np.float64
    assert not np.shares_memory(result, before), "step returns a view of its input"
    assert (integrator.step(states, 0) == states).all(), "step(states, 0) changes the states"


def _deterministic(integrator, states, n_steps, rng):
    first, second = (integrator.step(states, n_steps) for _ in range(2))
    assert (first == second).all(), "two identical calls differ"


def _batch_independent(integrator, states, n_steps, rng):
    together = integrator.step(states, n_steps)
    alone = np.concatenate([integrator.step(s[None], n_steps) for s in states])
    _close(together, alone, "a sample depends on the batch it is in", integrator.batch_tolerance)
    flipped = integrator.step(states[::-1].copy(), n_steps)[::-1]
    _close(together, flipped, "samples depend on their order", integrator.batch_tolerance)


def _steps_compose(integrator, states, n_steps, rng):
    one_by_one = states
    for _ in range(n_steps):
        one_by_one = integrator.step(one_by_one)
    tolerance = max(ROUNDING, 10 * integrator.batch_tolerance)
    _close(
        integrator.step(states, n_steps), one_by_one, "n steps are not n times a step", tolerance
    )


def _labels_travel(integrator, states, n_steps, rng):
    dims = ("sample", *integrator.system.state_dims)
    labelled = xr.DataArray(states, dims=dims, coords={"temperature": ("sample", rng.random(3))})
    result = integrator.step(labelled.transpose(*dims[::-1]))
    assert result.dims == dims and (result.temperature == labelled.temperature).all()
    _close(result.values, integrator.step(states), "DataArray and ndarray differ", 0.0)


def _bad_states_are_refused(integrator, states, n_steps, rng):
    states = states.copy()
    states[1].flat[0] = np.nan
    try:
        integrator.step(states)
    except ValueError as error:
        assert "sample 1" in str(error), f"the message does not name the sample: {error}"
    else:
        raise AssertionError("a NaN in the input is not refused")


INTERFACE = (
    _init_only_stores,
    _input_is_not_modified,
    _deterministic,
    _batch_independent,
    _steps_compose,
    _labels_travel,
    _bad_states_are_refused,
)


# What an integrator may declare ---------------------------------------------------------


def _keeps_norm(integrator, states, n_steps, rng):
    system = integrator.system
    before, after = (
        np.linalg.norm(system.spins_of(x), axis=-1)
        for x in (states, integrator.step(states, n_steps))
    )
    _close(after, before, "norm is not kept")


def _keeps_observable(name):
    def check(integrator, states, n_steps, rng):
        system = integrator.system
        result = integrator.step(states, n_steps)
        before, after = (system.observables(system.validate(s))[name][1] for s in (states, result))
        scale = system.n_sites  # extensive quantities round as their sums do
        _close(after / scale, before / scale, f"{name} is not kept")

    return check


def _time_reversible(integrator, states, n_steps, rng):
    there = integrator.step(states, n_steps)
    back = integrator.reverse().step(there, n_steps)
    _close(back, states, "a step back does not undo a step")


def _equivariant(symmetry):
    def check(integrator, states, n_steps, rng):
        action = integrator.system.symmetry_action(symmetry, rng)
        moved = integrator.step(action(states, 0.0), n_steps)
        expected = action(integrator.step(states, n_steps), n_steps * integrator.dt)
        _close(moved, expected, f"not equivariant under {symmetry}")

    return check


def _jacobian(integrator, state, epsilon=1e-5):
    """Jacobian of one step between tangent spaces, by central differences.

    Returns
    -------
    jacobian : (d, d), image, and the orthonormal bases (d, *state.shape) at both ends
    """
    system = integrator.system
    image = integrator.step(state[None])[0]
    basis, image_basis = _tangent_basis(system, state), _tangent_basis(system, image)
    moved = np.concatenate([state + epsilon * basis, state - epsilon * basis])
    spins = system.spins_of(moved)
    if spins is not None:  # back onto the spheres
        wanted = np.linalg.norm(system.spins_of(state[None]), axis=-1, keepdims=True)
        lengths = np.linalg.norm(spins, axis=-1, keepdims=True)
        spins *= np.divide(wanted, lengths, where=lengths > 0, out=np.ones_like(lengths))
    plus, minus = np.split(integrator.step(moved), 2)
    derivative = (plus - minus) / (2 * epsilon)
    d = len(basis)
    return image_basis.reshape(d, -1) @ derivative.reshape(d, -1).T, image, basis, image_basis


def _tangent_basis(system, state):
    """Unit vectors of positions and momenta, and two per spin at right angles to it.

    Shape (d, *state.shape).
    """
    flat = state.ravel()
    spin_places, other = _places(system, state)
    places = spin_places[np.linalg.norm(flat[spin_places], axis=1) > 0]
    spins = flat[places]
    spins = spins / np.linalg.norm(spins, axis=1, keepdims=True)
    smallest = np.eye(3)[np.abs(spins).argmin(axis=1)]
    u = np.cross(spins, smallest)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    n, m = len(spins), len(other)
    basis = np.zeros((m + 2 * n, flat.size))
    basis[np.arange(m), other] = 1.0
    basis[m + np.arange(n)[:, None], places] = u
    basis[m + n + np.arange(n)[:, None], places] = np.cross(spins, u)
    return basis.reshape(-1, *state.shape)


def _places(system, state):
    """Where in a flat state the spins are (n_spins, 3), and where everything else is."""
    every = np.arange(state.size).reshape(1, *state.shape)
    spins = system.spins_of(every)
    spins = np.empty((0, 3), dtype=int) if spins is None else spins.reshape(-1, 3)
    return spins, np.setdiff1d(every, spins)


def _area_form(system, state, basis):
    """The symplectic form in a tangent basis: Σ dq∧dp, and S·(u × v)/(γ |S|²) of spins.

    With γ of ``dS/dt = γ S × (-∂E/∂S)`` both parts have the same sign: that of
    ``ω(X, v) = dE(v)`` for the exact velocity X.
    """
    flat, spins = basis.reshape(len(basis), -1), state.ravel()
    places, other = _places(system, state)
    q, p = np.split(flat[:, other], 2, axis=1)
    form = q @ p.T - p @ q.T
    square = (spins[places] ** 2).sum(-1)
    places, square = places[square > 0], square[square > 0]
    turned = np.cross(flat[:, places], (spins[places] / square[:, None])[None])
    along = flat[:, places].reshape(len(basis), -1) @ turned.reshape(len(basis), -1).T
    return form + along / system.gyromagnetic_ratio


def _one_small_state(integrator, states):
    assert states[0].size <= 600, (
        "declaring symplectic or volume_preserving is checked by finite differences; "
        "give check_integrator a system of at most 200 spins"
    )
    return states[0]


def _symplectic(integrator, states, n_steps, rng):
    state = _one_small_state(integrator, states)
    jacobian, image, basis, image_basis = _jacobian(integrator, state)
    pulled_back = jacobian.T @ _area_form(integrator.system, image, image_basis) @ jacobian
    _close(
        pulled_back,
        _area_form(integrator.system, state, basis),
        "not symplectic",
        JACOBIAN_TOLERANCE,
    )


def _volume_preserving(integrator, states, n_steps, rng):
    jacobian = _jacobian(integrator, _one_small_state(integrator, states))[0]
    _close(np.abs(np.linalg.det(jacobian)), 1.0, "not volume-preserving", JACOBIAN_TOLERANCE)


GUARANTEES = {
    "norm": _keeps_norm,
    "energy": _keeps_observable("energy"),
    "magnetization": _keeps_observable("magnetization"),
    "momentum": _keeps_observable("momentum"),
    "time_reversible": _time_reversible,
    "rotation_equivariant": _equivariant("rotation"),
    "translation_equivariant": _equivariant("translation"),
    "even_translation_equivariant": _equivariant("even_translation"),
    "permutation_equivariant": _equivariant("permutation"),
    "galilean_equivariant": _equivariant("galilean"),
    "spin_rotation_equivariant": _equivariant("spin_rotation"),
    "symplectic": _symplectic,
    "volume_preserving": _volume_preserving,
}
