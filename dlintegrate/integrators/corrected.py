"""CorrectedIntegrator: the wrapper that learns what a large step gets wrong."""

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ..persistence import VersionedState
from .base import Integrator

#: What a projection breaks: its result depends on more than the local flow.
_LOST_BY_PROJECTION = {"time_reversible", "symplectic", "volume_preserving"}


class CorrectedIntegrator(VersionedState, Integrator):
    """An integrator at a large step, corrected by what a small step teaches.

    ``fit`` integrates samples over one large step with the reference, lets the
    corrector learn the difference, and from then on this is an integrator like
    any other, including as the base of a further one.

    Parameters
    ----------
    base : Integrator
        The large step. If it has to be fitted itself and is not, a clone is
        fitted on the same samples.
    corrector : Corrector
        What is learned; cloned by ``fit``.
    reference : Integrator, optional
        Makes the labels; its dt must divide that of the base. Default: the base
        at dt/100. A fourth-order one (``BlanesMoan4`` at dt/5) is cheaper at
        equal error.
    projection : {"norm", "energy", "magnetization"} or tuple of them, default "norm"
        What is restored, exactly, after every step: spin lengths always; energy
        and magnetisation of the state before the step on request.
    device : str, default "auto"
        Torch device of correctors that use one.
    random_state : int, RandomState or None
        Seed of everything random in the fit.
    n_jobs : int, optional
        Parallel workers of the label generation (joblib); results do not depend on it.

    Attributes
    ----------
    corrector_ : Corrector
        Fitted.
    step_ : Integrator
        The corrected step, before projection.
    history_ : dict of lists
        Training history of the corrector.
    state_shape_ : tuple of int
        Shape of one training state.

    Examples
    --------
    >>> from dlintegrate import (CorrectedIntegrator, ElementaryDifferentialResidue,
    ...     HeisenbergLattice, SuzukiTrotter2, sample_canonical)
    >>> system = HeisenbergLattice(shape=4)
    >>> samples = sample_canonical(system, 1.0, 6, random_state=0)
    >>> base = SuzukiTrotter2(system, dt=0.1)
    >>> corrected = CorrectedIntegrator(base, ElementaryDifferentialResidue(order=3))
    >>> trajectory = corrected.fit(samples).simulate(samples[:2], t_max=1.0)
    >>> trajectory.spin.dims
    ('sample', 'time', 'x', 'y', 'z', 'component')
    """

    def __init__(
        self, base, corrector, reference=None, projection="norm", device="auto",
        random_state=None, n_jobs=None,
    ):  # fmt: skip
        self.base = base
        self.corrector = corrector
        self.reference = reference
        self.projection = projection
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs

    @property
    def system(self):
        """The system of the base."""
        return self.base.system

    @property
    def dt(self):
        """The time step of the base."""
        return self.base.dt

    @property
    def any_size(self):
        """Whether states of any size are accepted: once fitted, if the corrector is local."""
        return self.step_.any_size if hasattr(self, "step_") else True

    @property
    def guarantees(self):
        """What the corrector keeps, plus what the projection restores."""
        check_is_fitted(self, "step_")
        restored = self._projected()
        kept = self.step_.guarantees
        if restored - {"norm"}:
            kept = kept - _LOST_BY_PROJECTION
        if "magnetization" in restored and "magnetization" not in self.system.invariants:
            restored = restored - {"magnetization"}  # with a field it precesses
        return kept | restored

    @property
    def batch_tolerance(self):
        """How far a sample may depend on its batch; see :class:`Corrector`."""
        return self.step_.batch_tolerance

    def with_dt(self, dt):
        """Return the *uncorrected* base with another time step: a fit serves one dt only."""
        return self.base.with_dt(dt)

    def reverse(self):
        """Return the corrected step with the time step negated, where that undoes it."""
        if "time_reversible" not in self.guarantees:
            raise ValueError(f"{self!r} is not time-reversible")
        return self.step_.reverse()

    def fit(self, samples, y=None, *, progress=False):
        """Make labels with the reference, and learn.

        Parameters
        ----------
        samples : xarray.DataArray or array-like, shape (n_samples, ...)
            Equilibrium states, at all temperatures the integrator will meet.
        y : array-like like ``samples``, optional
            The states one ``base.dt`` later, where they are known already.
        progress : bool, default False
            Show progress bars.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            On unsuitable samples, labels, reference or projection.
        """
        self._projected()
        base = self._fitted_base(samples, y)
        system, before = base.validate(samples)
        if y is None:
            labels = self.make_labels(samples)
        else:
            labels = system.validate(y, "y")
            if labels.shape != before.shape:
                raise ValueError(f"y has shape {labels.shape}; samples have {before.shape}")
        corrector = clone(self.corrector).fit(
            base, before, labels,
            device=self.device, random_state=self.random_state, progress=progress,
        )  # fmt: skip
        self.base_, self.corrector_ = base, corrector
        self.step_ = corrector.bind(base)
        self.history_ = corrector.history_
        self.state_shape_ = before.shape[1:]
        return self

    def _fitted_base(self, samples, y):
        if not hasattr(self.base, "fit"):
            return self.base
        try:
            check_is_fitted(self.base)
            return self.base
        except NotFittedError:
            return clone(self.base).fit(samples, y)

    def make_labels(self, samples):
        """Integrate samples over one large step with the reference, in parallel.

        Parameters
        ----------
        samples : array-like, shape (n_samples, ...)

        Returns
        -------
        ndarray, shape (n_samples, ...)
        """
        reference, n_steps = self._reference_steps()
        system, array = reference.validate(samples)
        n_chunks = min(len(array), 4 * effective_n_jobs(self.n_jobs))
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(reference.advance)(chunk, n_steps) for chunk in np.array_split(array, n_chunks)
        )
        labels = np.concatenate(parts)
        if not system.healthy(labels).all():
            raise ValueError(
                f"reference={reference!r} failed on some samples; give it a smaller dt"
            )
        return labels

    def _reference_steps(self):
        """The reference integrator and how many of its steps make one of the base."""
        if self.reference is None:
            return self.base.with_dt(self.base.dt / 100), 100
        ratio = self.base.dt / self.reference.dt
        n_steps = round(ratio)
        if n_steps < 1 or abs(ratio - n_steps) > 1e-9 * ratio:
            raise ValueError(
                f"reference.dt={self.reference.dt} does not divide base.dt={self.base.dt}"
            )
        ours, theirs = (
            {k: np.asarray(v).tolist() for k, v in s.get_params().items() if k != "shape"}
            for s in (self.base.system, self.reference.system)
        )
        if ours != theirs:
            raise ValueError(
                f"reference.system={self.reference.system!r} differs from "
                f"base.system={self.base.system!r}"
            )
        return self.reference, n_steps

    def _projected(self):
        """The quantities to restore, as a set."""
        projection = self.projection
        names = {projection} if isinstance(projection, str) else set(projection or ())
        unknown = names - {"norm", "energy", "magnetization"}
        if unknown:
            raise ValueError(
                f"projection={projection!r}: expected 'norm', 'energy', 'magnetization' "
                "or a tuple of them"
            )
        return frozenset(names | {"norm"})

    def validate(self, states, name="samples"):
        """Check states; a corrector that is not local takes its training size only."""
        check_is_fitted(self, "step_")
        system, array = self.step_.validate(states, name)
        if not self.any_size and array.shape[1:] != tuple(self.state_shape_):
            raise ValueError(
                f"{name} has states of shape {array.shape[1:]}; {self.corrector_!r} is not local "
                f"and was fitted on {tuple(self.state_shape_)}. Fit it on this size, or use a "
                "local corrector"
            )
        return system, array

    def advance(self, array, n_steps):
        """Corrected steps, each followed by the projection; see :meth:`Integrator.advance`."""
        check_is_fitted(self, "step_")
        quantities = self._projected() - {"norm"}
        if not quantities:
            return self.step_.advance(array, n_steps)
        # what the step itself keeps must not be the price of what is projected
        quantities |= self.step_.guarantees & {"energy", "magnetization"}
        system = self.system.matching(array)
        for _ in range(n_steps):
            after = self.step_.advance(array, 1)
            array = system.project(after, array, quantities, self.dt)
        return np.array(array) if n_steps == 0 else array

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin of the corrected step, without energy or magnetisation projection."""
        check_is_fitted(self, "step_")
        if self._projected() - {"norm"}:
            raise NotImplementedError(
                f"projection={self.projection!r} has no torch twin; use projection='norm'"
            )
        return self.step_.advance_tensor(tensor, n_steps)

    def predict(self, samples):
        """Return the states one time step later.

        Parameters
        ----------
        samples : array-like, shape (n_samples, ...)

        Returns
        -------
        like ``samples``
        """
        return self.step(samples)

    def score(self, samples, y=None):
        """Negative one-step error (rms per spin); greater is better.

        Parameters
        ----------
        samples : array-like, shape (n_samples, ...)
        y : array-like, optional
            Labels; by default a converged integration (see
            :func:`dlintegrate.metrics.one_step_error`).

        Returns
        -------
        float
        """
        from ..metrics import one_step_error

        return -one_step_error(self, samples, y)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "step_")
