"""The interface of everything that learns."""

from abc import ABC, abstractmethod

import numpy as np

from .._documentation import Estimator


class Corrector(Estimator, ABC):
    """What is learned about a large step.

    A corrector sees a base integrator, states ``X`` and the states ``Y`` one base
    step later as the reference has them, and hands back an integrator that makes
    the corrected step. Residues, forces, learned compositions and fields are all
    the same to :class:`~dlintegrate.CorrectedIntegrator`.
    Fitted attributes end in ``_``. ``__init__`` only stores.

    Attributes
    ----------
    batch_tolerance : float
        How far the step of one sample may depend on the others in its batch: 0,
        but for networks, whose single-precision sums are split by batch size.
    """

    batch_tolerance = 0.0
    #: What it learns from: "state", reference states one step later; "field" or "potential", what
    #: the exact system says of the samples themselves (see ``exact_labels``).
    target = "state"

    @property
    def horizon(self):
        """Large steps that the labels span: with more than 1, ``Y`` has an axis for them."""
        return 1

    @property
    @abstractmethod
    def local(self):
        """Whether a fit on one lattice size serves every other."""

    def check(self, base):
        """Raise for parameters or a base that cannot be, before labels are paid for.

        Parameters
        ----------
        base : Integrator
            The large step.
        """

    @abstractmethod
    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Learn from labels.

        Parameters
        ----------
        base : Integrator
            The large step.
        X, Y : ndarray, shape (n_samples, ...)
            Validated (packed) states, and the reference states one ``base.dt`` later; with
            a ``horizon`` above 1, Y has shape (n_samples, horizon, ...). With another target
            than "state", Y are the labels of :meth:`exact_labels` instead.
        device : str, default "cpu"
            Torch device of correctors that use one.
        random_state : numpy.random.Generator, int or None
        progress : bool, default False
            Show a progress bar.

        Returns
        -------
        self
            With ``history_``, a dict of lists (one entry per epoch or iteration;
            at least ``"loss"``).
        """

    def exact_labels(self, system, array):
        """What the exact system says of states, for targets other than "state".

        Parameters
        ----------
        system : System
        array : ndarray, shape (n_samples, ...)
            Validated states.

        Returns
        -------
        ndarray or NamedTuple of ndarray, axis 0 ``sample``
        """
        raise NotImplementedError(f"{type(self).__name__} learns from states one step later")

    def given_labels(self, system, array, y):
        """Labels as the user has them, checked; as :meth:`exact_labels`."""
        raise NotImplementedError(f"{type(self).__name__} learns from states one step later")

    def learned_score(self, system, array, labels):
        """Score against labels of :meth:`exact_labels`, greater is better.

        Parameters
        ----------
        system : System
            The learned one.
        array : ndarray, shape (n_samples, ...)
        labels : as :meth:`exact_labels`

        Returns
        -------
        float
        """
        raise NotImplementedError(f"{type(self).__name__} is scored by its steps")

    @abstractmethod
    def bind(self, base):
        """Return the corrected step: an Integrator for the system and dt of ``base``."""

    @abstractmethod
    def guarantees(self, base):
        """What the corrected step keeps to rounding, a frozenset (see Integrator)."""


class ResidueCorrector(Corrector):
    """A corrector whose output is added to the result of the base step.

    The corrected state is ``normalize(after + residue(before, after))``
    (Park 2022, Eq. 4.5); binding makes a :class:`ResidueStep`.
    """

    @abstractmethod
    def residue(self, system, before, after):
        """Estimate ``reference - after``.

        Parameters
        ----------
        system : System
            At the size of the states.
        before, after : ndarray, shape (n_samples, ...)
            States before and after the base step.

        Returns
        -------
        ndarray, shape (n_samples, ...)
        """

    def correct(self, system, before, after):
        """Return ``normalize(after + residue)``; for correctors that have a shorter way to it.

        Parameters
        ----------
        system : System
        before, after : ndarray, shape (n_samples, ...)
            Not modified.

        Returns
        -------
        ndarray, shape (n_samples, ...)
        """
        state = after + self.residue(system, before, after)
        state /= np.sqrt(np.einsum("...c,...c->...", state, state))[..., None]
        return state

    def bind(self, base):
        """Return the step ``after + residue``."""
        from ..integrators.residue import ResidueStep

        return ResidueStep(base, self)


def one_step(base, states):
    """States after one step of the base; an error if it cannot make that step.

    Parameters
    ----------
    base : Integrator
    states : ndarray, shape (n_samples, ...)

    Returns
    -------
    ndarray, like ``states``

    Raises
    ------
    ValueError
        If a sample failed.
    """
    after = base.advance(states, 1)
    if not np.isfinite(after).all():
        raise ValueError(f"base={base!r} failed on some samples; give it a smaller dt")
    return after
