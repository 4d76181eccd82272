"""How wrong a single step is."""

import math

import numpy as np

from ..integrators.step_size import whole_steps
from ..states import like, to_array

#: Substeps of the reference, in units of 6/max|h| (1/J on the cubic lattice); measured for
#: dt = 0.1: 2e-12 after one step.
_STEP_RESOLUTION = 0.01
#: Substep for particles, in units of σ(m/ε)^½, at resolution 1; at 0.01 halving it changes the
#: state after 0.1 by 6e-10, as long as the forces are smooth (n = 16, density 0.38, T = 0.71).
_PARTICLE_STEP = 0.25


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
        The states one ``integrator.dt`` later (labels ``y``), or the integrator
        that makes them. By default a converged one: :func:`reference_integrator`.
    per_sample : bool, default False
        Return one number per sample instead of their root mean square.

    Returns
    -------
    float, or ndarray of shape (n_samples,)
        A sample whose step failed has an infinite error, and so has the mean.

    Raises
    ------
    ValueError
        On unsuitable samples, or a reference that does not fit to them.
    """
    system, array = integrator.validate(samples)
    after = system_array(system, integrator.step(samples))
    expected = _labels(integrator, system, array, samples, reference)
    square = ((after - expected) ** 2).reshape(len(array), -1).sum(axis=1)
    error = np.sqrt(square / system.n_sites)
    error[np.isnan(error)] = np.inf
    return error if per_sample else float(np.sqrt(np.mean(error**2)))


def _labels(integrator, system, array, samples, reference):
    if reference is None:
        reference = reference_integrator(system, integrator.dt)
    if not hasattr(reference, "step"):
        return _given_labels(system, array, samples, reference)
    n_steps = n_substeps(integrator.dt, reference.dt)
    labels = system_array(system, reference.step(samples, n_steps))
    if np.isnan(labels).any():
        raise ValueError("the reference integrator failed; give it a smaller dt")
    return labels


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


def reference_integrator(system, dt, resolution=_STEP_RESOLUTION):
    """A converged integrator whose steps divide ``dt``.

    For spins Blanes and Moan's fourth-order composition; on lattices with odd sides,
    which have no two sublattices, the implicit midpoint rule with far smaller steps. For
    particles the splitting of the same authors for forces that are gradients.

    Parameters
    ----------
    system : HeisenbergLattice or LennardJones2D
    dt : float
        The step to be judged.
    resolution : float, default 0.01
        Longest substep in units of 6/max|h|, which is 1/J on the cubic lattice; for
        particles in units of 0.25 σ(m/ε)^½.

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
    """
    from ..integrators import BlanesMoan4, BlanesMoanRKN4, ImplicitMidpoint
    from ..systems import HeisenbergLattice, LennardJones2D

    if isinstance(system, LennardJones2D):
        unit = system.sigma / math.sqrt(system.epsilon)
        n = max(4, math.ceil(abs(dt) / (resolution * _PARTICLE_STEP * unit) * (1 - 1e-12)))
        return BlanesMoanRKN4(system, dt / n)
    if not isinstance(system, HeisenbergLattice):
        raise TypeError(f"no converged reference is known for {type(system).__name__}; pass one")
    even = all(side % 2 == 0 for side in system.lattice_shape)
    # second order: 1e-4 of the step gives 1e-9 of its error
    longest = resolution * 6.0 / max(system.max_field, 1e-12) * (1.0 if even else 0.02)
    n = max(4, math.ceil(abs(dt) / longest))
    return (BlanesMoan4 if even else ImplicitMidpoint)(system, dt / n)


def system_array(system, states):
    """Plain ndarray of states that may be NaN (``validate`` refuses those)."""
    if hasattr(states, "dims"):
        states = states.transpose("sample", *system.state_dims).values
    return np.asarray(states, dtype=np.float64)
