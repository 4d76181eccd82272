"""How wrong a single step is."""

import math

import numpy as np

from ..integrators.llg import LandauLifshitzGilbert
from ..integrators.step_size import whole_steps
from ..states import like, perpendicular, site_distances, to_array

#: Substeps of the reference, in units of 6/max|h| (1/J on the cubic lattice); measured for
#: dt = 0.1: 2e-12 after one step.
_STEP_RESOLUTION = 0.01
#: Substep for particles, in units of σ(m/ε)^½, at resolution 1; at 0.01 halving it changes the
#: state after 0.1 by 6e-10, as long as the forces are smooth (n = 16, density 0.38, T = 0.71).
_PARTICLE_STEP = 0.25
#: Substep of atoms with moments at resolution 1, fs.
_ATOMIC_STEP = 1.0
#: Substep of Runge-Kutta with damping, in units of that of the splitting; measured on the cubic
#: lattice for dt = 0.1 and α = 0.1: 2e-10 after one step.
_DAMPED_STEP = 0.5
#: For itinerant spins, in units of 1/max|h| of the field perpendicular to random ones, at
#: resolution 1. At 0.01 that is about 1/t1: 3e-8 after a time of 1 (6², α = 0.05).
_ITINERANT_STEP = 10.0


def one_step_error(integrator, samples, reference=None, *, per_sample=False):
    """Per-site rms distance from the reference after one step.

    ``sqrt(mean |S_i - S_i^ref|²)`` over spins and samples; for particles
    ``sqrt(mean (|q_i - q_i^ref|² + |p_i - p_i^ref|²))`` with unwrapped positions.

    Parameters
    ----------
    integrator : Integrator
        Bare, or a fitted CorrectedIntegrator.
    samples : xarray.DataArray or array-like, shape (n_samples, ...)
        States before the step.
    reference : None, Integrator or array-like, optional
        The states one ``integrator.dt`` later (labels ``y``, of the shape of the samples), or
        the integrator that makes them. By default a converged one,
        :func:`reference_integrator`, with the damping of the integrator, in the
        exact field where the integrator has a learned one.
    per_sample : bool, default False
        Return one number per sample instead of their root mean square.

    Returns
    -------
    float, or ndarray of shape (n_samples,)
        A sample whose step failed has an infinite error, and so has the mean.

    Raises
    ------
    ValueError
        On unsuitable samples, a reference that does not fit to them, or thermal noise without
        a reference.
    """
    system, array = integrator.validate(samples)
    after = system_array(system, integrator.step(samples))
    expected = _labels(integrator, system, array, samples, reference)
    error = site_distances(system, after, expected)
    return error if per_sample else float(np.sqrt(np.mean(error**2)))


def _labels(integrator, system, array, samples, reference):
    if reference is None:
        reference = converged(integrator, array)
    if not hasattr(reference, "step"):
        return _given_labels(system, array, samples, reference)
    n_steps = n_substeps(integrator.dt, reference.dt)
    labels = reference.advance(array, n_steps)  # in the boxes of these states, whatever its own
    if not system.healthy(labels).all():
        raise ValueError("the reference integrator failed; give it a smaller dt")
    return system.unpack(labels)[0]


def _given_labels(system, array, samples, labels):
    """Labels that came as an array, without what :meth:`System.pack` adds."""
    if not hasattr(labels, "dims") and hasattr(samples, "dims"):
        labels = to_array(labels, system.state_dims, "reference")
        if len(labels) == len(array):  # they are in the boxes of the samples
            labels = like(labels, samples, system.state_dims)
    labels = system.unpack(system.validate(labels, "reference"))[0]
    expected = system.unpack(array)[0].shape
    if labels.shape != expected:
        raise ValueError(f"reference has shape {labels.shape}; the samples have {expected}")
    return labels


def n_substeps(dt, reference_dt):
    """How many steps of the reference make one ``dt``.

    Raises
    ------
    ValueError
        If it is not an integer number, 1 or more.
    """
    n_steps = whole_steps(dt, reference_dt)
    if n_steps is None:
        raise ValueError(
            f"reference.dt={reference_dt} does not divide dt={dt} into whole steps; "
            f"use for instance {dt / max(1, round(dt / reference_dt))}"
        )
    return n_steps


def converged(integrator, array, resolution=_STEP_RESOLUTION):
    """The converged integrator of the equation that ``integrator`` solves.

    Parameters
    ----------
    integrator : Integrator
    array : ndarray, shape (n_samples, ...)
        Validated states.
    resolution : float

    Returns
    -------
    Integrator
        For the exact system, also where the integrator sees a learned field.

    Raises
    ------
    ValueError
        If it has thermal noise.
    """
    system = integrator.system.matching(array)
    return reference_integrator(system, integrator.dt, resolution, damping=damping_of(integrator))


def damping_of(integrator):
    """The damping of Landau-Lifshitz-Gilbert steps, also as the base of a corrected one; else 0.

    Raises
    ------
    ValueError
        If they have thermal noise.
    """
    while not isinstance(integrator, LandauLifshitzGilbert):
        if not hasattr(integrator, "base"):
            return 0.0
        integrator = integrator.base
    if integrator.temperature > 0:
        raise ValueError(
            f"temperature={integrator.temperature!r}: where a step has thermal noise no other step "
            "follows it, and there is no error to speak of; set temperature=0, or pass a reference"
        )
    return integrator.damping


def reference_integrator(system, dt, resolution=_STEP_RESOLUTION, damping=0.0):
    """A converged integrator whose steps divide ``dt``.

    For spins with exchange Blanes and Moan's fourth-order composition; on lattices with odd
    sides, which have no two sublattices, the implicit midpoint rule with far smaller steps.
    With damping, and for other spins in a local field, :class:`RungeKutta4`. For
    particles the splitting of Blanes and Moan for forces that are gradients; for atoms with
    moments :class:`SpinLatticeSplitting` at a hundredth of the step.

    Parameters
    ----------
    system : HeisenbergLattice, LennardJones2D, TriangularSDModel or other with ``field_of``
    dt : float
        The step to be judged.
    resolution : float, default 0.01
        Longest substep in units of 6/max|h|, which is 1/J on the cubic lattice; for
        particles in units of 0.25 σ(m/ε)^½, for atoms of fs. For other spins h is the part of
        the field perpendicular to them, on random ones, and a field is spent on finding it.
    damping : float, default 0.0
        α of the Landau-Lifshitz-Gilbert equation, for spins.

    Returns
    -------
    Integrator

    Raises
    ------
    TypeError
        For systems that this reference does not serve.

    Notes
    -----
    Where the force jumps no splitting converges faster than the substep, because a pair
    meets the jump in the middle of one. Without a cut-off it jumps at half of the box,
    where another image becomes the nearest: after ``dt = 0.1`` at 16 particles, density
    0.38 and T = 0.71 halving the default substep of 0.0025 still changes the state by
    6e-7 rms, which is 5000 times less than the error of velocity Verlet at 0.01.
    With a cut-off that only shifts the potential it is 4e-6, with ``truncation="smooth"``
    4e-9.

    On the s-d model at 6² halving the substeps changes the state after ``dt`` = 1 to 8 by
    less than 1e-4 of the error of ``SemiImplicitB(drop_longitudinal=True)`` at that step.
    """
    from ..integrators import (
        BlanesMoan4,
        BlanesMoanRKN4,
        ImplicitMidpoint,
        RungeKutta4,
        SpinLatticeSplitting,
    )
    from ..systems import AtomicSystem, HeisenbergLattice, LennardJones2D

    if isinstance(system, LennardJones2D):
        unit = system.sigma / math.sqrt(system.epsilon)
        n = max(4, math.ceil(abs(dt) / (resolution * _PARTICLE_STEP * unit) * (1 - 1e-12)))
        return BlanesMoanRKN4(system, dt / n)
    if isinstance(system, AtomicSystem):  # of second order: 1e-4 of the error of dt
        n = max(100, math.ceil(abs(dt) / (resolution * _ATOMIC_STEP)))
        return SpinLatticeSplitting(system, dt / n)
    if not hasattr(system, "field_of"):
        raise TypeError(f"no converged reference is known for {type(system).__name__}; pass one")
    if damping or not isinstance(system, HeisenbergLattice):
        longest = resolution * _runge_kutta_step(system) / math.hypot(1.0, damping)
        n = max(4, math.ceil(abs(dt) / longest))
        return RungeKutta4(system, dt / n, damping)
    even = all(side % 2 == 0 for side in system.lattice_shape)
    # second order: 1e-4 of the step gives 1e-9 of its error
    longest = resolution * 6.0 / max(system.max_field, 1e-12) * (1.0 if even else 0.02)
    n = max(4, math.ceil(abs(dt) / longest))
    return (BlanesMoan4 if even else ImplicitMidpoint)(system, dt / n)


def _runge_kutta_step(system):
    """Substep of Runge-Kutta at resolution 1."""
    if hasattr(system, "max_field"):
        return _DAMPED_STEP * 6.0 / max(system.max_field, 1e-12)
    spins = system.random_states(1, 0)
    turning = perpendicular(system.field_of(spins), spins)
    return _ITINERANT_STEP / max(np.linalg.norm(turning, axis=-1).max(), 1e-12)


def system_array(system, states):
    """Plain ndarray of states that may be NaN (``validate`` refuses those)."""
    if hasattr(states, "dims"):
        states = states.transpose("sample", *system.state_dims).values
    return np.asarray(states, dtype=np.float64)
