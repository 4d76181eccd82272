"""CorrectedIntegrator: the wrapper that learns what a large step gets wrong."""

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ..persistence import VersionedState, fingerprint
from ..states import like
from ..systems.base import System
from .base import Integrator
from .domain import record_domain, warn_outside
from .fallback import same_system
from .step_size import suggest_dt, whole_steps

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
        equal error. Not used for learned fields and potentials, whose labels are exact.
    projection : {"norm", "energy", "magnetization"} or tuple of them, default "norm"
        What is restored, exactly, after every step: spin lengths always; energy
        and magnetisation of the state before the step on request. The energy of
        particles is restored by rescaling the momenta about the centre of mass.
    fallback : Fallback, optional
        Bounds on each step; a sample that breaks one redoes that step with small steps.
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
    domain_ : dict of str to list
        Conditions of the samples, such as ``{"side": [8, None], "temperature": [0.4, 2.4]}``: the
        lowest and highest, None for no bound. States outside are met with a
        :class:`DomainWarning`. Temperatures are those of the coordinate ``temperature`` of the
        samples, or else estimated.

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
        self, base, corrector, reference=None, projection="norm", fallback=None,
        device="auto", random_state=None, n_jobs=None,
    ):  # fmt: skip
        self.base = base
        self.corrector = corrector
        self.reference = reference
        self.projection = projection
        self.fallback = fallback
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs

    @property
    def system(self):
        """The system of the base."""
        return self.base.system

    @property
    def simulated(self):
        """The learned field, if that is what the steps see; else the system of the base."""
        return self.step_.simulated if hasattr(self, "step_") else self.base.simulated

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
        if self.fallback is not None:  # what the small steps keep too
            small, _ = self.fallback.small_steps(self._redone_by())
            kept = (kept & small.guarantees) - _LOST_BY_PROJECTION
        # with a field the magnetisation precesses; particles have no norm
        return kept | (restored & self.system.invariants)

    @property
    def batch_tolerance(self):
        """How far a sample may depend on its batch; see :class:`Corrector`."""
        return self.step_.batch_tolerance

    def with_dt(self, dt):
        """Return the *uncorrected* base with another time step: a fit serves one dt only.

        A learned field serves any: ``corrected.step_.with_dt(dt)`` stays in it.

        Parameters
        ----------
        dt : float
        """
        return self.base.with_dt(dt)

    def suggest_dt(self, samples, tol, *, duration=1.0):
        """As :meth:`Integrator.suggest_dt`, in a learned field or potential; a residue has one dt.

        Raises
        ------
        ValueError
            For a residue, and as :func:`suggest_dt`.
        """
        learned = hasattr(self, "step_") and self.corrector_.target != "state"
        return suggest_dt(self.step_ if learned else self, samples, tol, duration=duration)

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
            The states one ``base.dt`` later, where they are known already; for correctors that
            learn a field or a potential, the exact fields or evaluations of the samples
            (``system.local_field(samples)``, ``system.evaluate(samples)``).
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
        if self.fallback is not None:
            self.fallback.small_steps(self.base)
            self.fallback.checked_bounds(self.system)
        base = self._fitted_base(samples, y)
        self.corrector.check(base)
        system, before = base.validate(samples)
        labels = self._labels(system, samples, before, y)
        corrector = clone(self.corrector).fit(
            base, before, labels,
            device=self.device, random_state=self.random_state, progress=progress,
        )  # fmt: skip
        self.base_, self.corrector_ = base, corrector
        self.step_ = corrector.bind(base)
        self.history_ = corrector.history_
        self.state_shape_ = before.shape[1:]
        self.domain_ = record_domain(system, before, samples, self.step_.any_size)
        return self

    def _labels(self, system, samples, before, y):
        """What the corrector's ``target`` and ``horizon`` ask for."""
        if self.corrector.target != "state":
            return self._exact_labels(system, before, y)
        horizon = self.corrector.horizon
        if y is None:
            return self.make_labels(samples) if horizon == 1 else self.make_labels(samples, horizon)
        if horizon > 1:
            raise ValueError(
                f"y holds the states one step later, but {self.corrector!r} learns from "
                f"{horizon} steps; pass y=None"
            )
        if np.shape(y) != np.shape(samples):
            raise ValueError(f"y has shape {np.shape(y)}; samples have {np.shape(samples)}")
        if not hasattr(y, "dims"):
            y = like(np.asarray(y), samples, system.state_dims)
        return system.validate(y, "y")

    def _exact_labels(self, system, before, y):
        """What the exact system says of the samples, in parallel, unless it is known."""
        if y is not None:
            return self.corrector.given_labels(system, before, y)
        n_chunks = min(len(before), 4 * effective_n_jobs(self.n_jobs))
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(self.corrector.exact_labels)(system, chunk)
            for chunk in np.array_split(before, n_chunks)
        )
        if isinstance(parts[0], tuple):
            return type(parts[0])(*map(_joined, zip(*parts, strict=True)))
        return _joined(parts)

    def set_params(self, **params):
        """Set parameters; a learned field or potential goes on with its base, a residue does not.

        What is learned of ``base.system`` serves any step of it, also after
        ``set_params(base__dt=0.5, base__damping=0.1)``. A residue is that of one base, and has to
        be fitted again.

        Parameters
        ----------
        **params
            As ``get_params`` names them.

        Returns
        -------
        self
        """
        super().set_params(**params)
        of_base = any(name.partition("__")[0] == "base" for name in params)
        if of_base and hasattr(self, "step_") and self.corrector_.target != "state":
            same_system(self.base_.system, self.base.system, "base.system")
            self.base_ = self.base if hasattr(self.base, "fit") else clone(self.base)
            self.step_ = self.corrector_.bind(self.base_)
        return self

    def _check_base(self):
        """Raise ValueError if the base is no longer the one that was fitted."""
        if self.base is self.base_ or _alike(self.base, self.base_):
            return
        raise ValueError(
            f"base={self.base!r} is not that of the fit, {self.base_!r}: fit again, or restore it"
        )

    def _fitted_base(self, samples, y):
        if not hasattr(self.base, "fit"):
            return clone(self.base)  # changes to the parameter do not reach what is fitted
        try:
            check_is_fitted(self.base)
            return self.base
        except NotFittedError:
            inner, outer = getattr(self.base, "corrector", None), self.corrector
            alike = inner is not None and (inner.target, inner.horizon) == (outer.target, 1)
            return clone(self.base).fit(samples, y if alike else None)

    def make_labels(self, samples, horizon=None):
        """Integrate samples over large steps with the reference, in parallel.

        Parameters
        ----------
        samples : array-like, shape (n_samples, ...)
        horizon : int, optional
            Number of large steps; by default the state after one is returned.

        Returns
        -------
        ndarray, shape (n_samples, ...), or (n_samples, horizon, ...) with ``horizon``
            Packed states.

        Raises
        ------
        ValueError
            If the step of the reference does not divide that of the base.
        """
        reference, n_steps = self._reference_steps()
        reference.validate(samples)
        # in the box of the base, whatever that of the reference; the base may be unfitted yet
        system, array = Integrator.validate(self.base, samples)
        n_chunks = min(len(array), 4 * effective_n_jobs(self.n_jobs))
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_rolled_out)(reference, chunk, n_steps, horizon or 1)
            for chunk in np.array_split(array, n_chunks)
        )
        labels = np.concatenate(parts)
        if not system.healthy(labels[:, -1]).all():
            raise ValueError(
                f"reference={reference!r} failed on some samples; give it a smaller dt"
            )
        return labels[:, 0] if horizon is None else labels

    def _redone_by(self):
        """The step whose small steps a fallback takes, and whose energy counts.

        In a learned potential that is its own: the exact one may cost a thousand times as much.
        """
        return self.step_ if self.corrector_.target == "potential" else self.base_

    def _reference_steps(self):
        """The reference integrator and how many of its steps make one of the base."""
        for integrator, name in ((self.base, "base"), (self.reference, "reference")):
            if getattr(integrator, "temperature", 0):
                raise ValueError(
                    f"{name} has temperature={integrator.temperature!r}: noise cannot be learned; "
                    "fit at 0"
                )
        damping = [getattr(x, "damping", None) for x in (self.base, self.reference)]
        if self.reference is not None and None not in damping and damping[0] != damping[1]:
            raise ValueError(
                f"reference.damping={damping[1]!r} is not base.damping={damping[0]!r}: the "
                "correction would undo the damping"
            )
        if self.reference is None:
            return self.base.with_dt(self.base.dt / 100), 100
        n_steps = whole_steps(self.base.dt, self.reference.dt)
        if n_steps is None:
            raise ValueError(
                f"reference.dt={self.reference.dt} does not divide base.dt={self.base.dt}"
            )
        same_system(self.base.system, self.reference.system, "reference.system")
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
        if names - {"norm"} and type(self.system).project is System.project:
            raise ValueError(
                f"projection={projection!r}: {type(self.system).__name__} has no projection onto "
                "energy or magnetization; use projection='norm'"
            )
        for coupling in ("damping", "friction"):
            value = getattr(self.base, coupling, 0)
            if names - {"norm"} and value:
                raise ValueError(
                    f"projection={projection!r} on a base with {coupling}={value!r}: it loses "
                    "energy, and a projection would give it back; use projection='norm'"
                )
        # momenta are rescaled for the energy, which leaves every spin as it is
        kept = self.system.invariants
        if "magnetization" in names and ("norm" not in kept or "momentum" in kept):
            missing = "projection onto magnetization" if "norm" in kept else "magnetization"
            raise ValueError(f"projection={projection!r}: {self.system!r} has no {missing}")
        return frozenset(names | {"norm"})

    def validate(self, states, name="samples"):
        """Check states; a corrector that is not local takes its training size only.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, ...)
        name : str
            What to call the argument in messages.

        Returns
        -------
        system : System
            At the size of the states.
        array : ndarray, shape (n_samples, ...)
            Packed.

        Raises
        ------
        ValueError
            If the states do not suit the system, or have another size than those of the fit
            where the corrector is not local; or if the base was changed since the fit.

        Warns
        -----
        DomainWarning
            If states lie outside of ``domain_``.
        """
        check_is_fitted(self, "step_")
        self._check_base()
        system, array = self.step_.validate(states, name)
        if not self.any_size and array.shape[1:] != tuple(self.state_shape_):
            raise ValueError(
                f"{name} has states of shape {array.shape[1:]}; {self.corrector_!r} is not local "
                f"and was fitted on {tuple(self.state_shape_)}. Fit it on this size, or use a "
                "local corrector"
            )
        if getattr(self, "domain_", None):  # files of earlier versions have none
            exact = self.base_.system.matching(array)
            warn_outside(self.domain_, exact, array, states, name, type(self).__name__)
        return system, array

    @property
    def falls_back(self):
        """Whether there is a ``fallback``."""
        return self.fallback is not None

    def advance(self, array, n_steps):
        """Corrected steps, each followed by the projection; see :meth:`Integrator.advance`."""
        return self.advance_counting(array, n_steps)[0]

    def advance_counting(self, array, n_steps):
        """As :meth:`advance`; see :meth:`Integrator.advance_counting`."""
        check_is_fitted(self, "step_")
        quantities = self._projected() - {"norm"}
        n_fallbacks = np.zeros(len(array), dtype=np.int64)
        if not quantities and self.fallback is None:
            return self.step_.advance(array, n_steps), n_fallbacks
        if quantities:
            # what the step itself keeps must not be the price of what is projected
            quantities |= self.step_.guarantees & {"energy", "magnetization"}
        system = self._redone_by().system.matching(array)
        array = np.array(array)
        for _ in range(n_steps):
            after = self.step_.advance(array, 1)
            if self.fallback is not None:
                n_fallbacks += self.fallback.advance(self._redone_by(), after, array)
            array = system.project(after, array, quantities, self.dt) if quantities else after
        return array, n_fallbacks

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin of the corrected step, without energy or magnetisation projection."""
        check_is_fitted(self, "step_")
        if self._projected() - {"norm"} or self.fallback is not None:
            raise NotImplementedError(
                f"projection={self.projection!r} and fallback={self.fallback!r} have no torch "
                "twin; use projection='norm' and fallback=None"
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
        """Negative one-step error (rms per spin); of a learned field or potential, its own score.

        Parameters
        ----------
        samples : array-like, shape (n_samples, ...)
        y : array-like, optional
            Labels of the shape of ``samples``; by default a converged integration (see
            :func:`dlintegrate.metrics.one_step_error`), or exact fields or evaluations.

        Returns
        -------
        float
        """
        from ..metrics import one_step_error

        check_is_fitted(self, "step_")
        if self.corrector_.target != "state":
            system, array = self.base_.validate(samples)
            labels = self._exact_labels(system, array, y)
            return self.corrector_.learned_score(self.simulated.matching(array), array, labels)
        return -one_step_error(self, samples, y)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "step_")


def _alike(first, second):
    """Whether two integrators have the same parameters, as far as they can be written down."""
    try:
        if fingerprint(first) == fingerprint(second):  # the usual case, at each step() and run
            return True
        # of a base that was fitted as a clone, only base_ has a fit
        return fingerprint(clone(first)) == fingerprint(clone(second))
    except TypeError:  # a class of the user's that holds something else
        return True


def _joined(parts):
    """Parts of labels as one array; None where the exact system gives none."""
    return None if parts[0] is None else np.concatenate(parts)


def _rolled_out(reference, array, n_steps, horizon):
    """States after 1 to ``horizon`` times ``n_steps`` steps, shape (n_samples, horizon, ...)."""
    out = np.empty((len(array), horizon, *array.shape[1:]))
    for k in range(horizon):
        array = reference.advance(array, n_steps)
        out[:, k] = array
    return out
