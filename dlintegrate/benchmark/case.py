"""What a benchmark is told about a system: methods, states, a reference, what counts as broken."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone

#: Kinds of methods. What is not learned, or costs nothing to learn, is a rival of what is.
CLASSICAL, LEARNED, NULL, EXTERNAL = "classical", "learned", "null", "external"


@dataclass(frozen=True)
class Fit:
    """A learned integrator, and the seconds that it took.

    Parameters
    ----------
    integrator : Integrator
    label_seconds, training_seconds : float
    origin : str, default "fitted"
        ``"fitted"``, or the name of a shipped integrator whose card gave the seconds.
    """

    integrator: Any
    label_seconds: float
    training_seconds: float
    origin: str = "fitted"


@dataclass(frozen=True)
class Method:
    """An integrator at several steps; nothing is learned.

    Parameters
    ----------
    name : str
    dts : tuple of float
        Steps; each divides the horizon of the case.
    make : callable
        ``make(dt)`` returns an Integrator, of any size of the case's states.
    kind : {"classical", "null"}
        ``"null"`` is a corrector without its learned part.
    family : str, optional
        Methods of one family differ in a second knob, such as the moments of a series, and costs
        are interpolated between them as between steps.
    """

    name: str
    dts: tuple
    make: Callable
    kind: str = CLASSICAL
    family: str | None = None


@dataclass(frozen=True)
class Learned:
    """A corrector at several steps, fitted anew for each of them and for each seed.

    Parameters
    ----------
    name : str
    dts : tuple of float
    fit : callable
        ``fit(dt, train, seed)`` returns a :class:`Fit`; ``train`` is what ``case.train(seed)``
        drew.
    """

    name: str
    dts: tuple
    fit: Callable
    kind: str = field(default=LEARNED, init=False)


@dataclass(frozen=True)
class External:
    """Another program, from the same states.

    Parameters
    ----------
    name : str
    dts : tuple of float
    run : callable
        ``run(states, dt, n_steps)`` with a DataArray returns the states after that many
        steps, an array like it, and the processor seconds that the steps alone took. None if
        the program is not installed, or does not take states of this size.
    """

    name: str
    dts: tuple
    run: Callable
    kind: str = field(default=EXTERNAL, init=False)


@dataclass(frozen=True)
class Case:
    """A system and all that is measured on it.

    Parameters
    ----------
    name, title : str
        ``title`` is a line of text: system, size, temperatures.
    horizon : float
        Physical time after which the error is measured; a multiple of every step.
    methods : tuple of Method, Learned or External
    train : callable
        ``train(seed)`` returns the states that learned methods are fitted to.
    test : callable
        ``test(seed)`` returns a dict of sets of states that no fit has seen. The first is like
        those of the training: its errors make the picture. The others, a larger system or another
        temperature, show what carries over.
    reference : callable
        ``reference(dt)`` returns a converged Integrator whose steps divide ``dt``.
    predictions : dict of str to callable
        Null models without a step: ``f(system, array, horizon)`` returns states.
    reverse : callable, optional
        ``reverse(array)`` turns the motion of packed states back. None where the dynamics is not
        reversible.
    scale : float or ndarray
        By which packed states are divided before distances are taken: where a state holds
        quantities of several units.
    long_time : float
        Of the runs in which energy, failures and fall-backs are watched.
    explosion : float
        Change of the energy per site beyond which a sample counts as exploded.
    conserves_energy : bool
    site, time_unit, error_unit : str
        Words for the axes.
    n_long : int
        Samples of the long runs, at most.
    run_seconds, cost_seconds : float
        Processor time for the long run of one point, and for each timing of one.
    """

    name: str
    title: str
    horizon: float
    methods: tuple
    train: Callable
    test: Callable
    reference: Callable
    predictions: dict = field(default_factory=dict)
    reverse: Callable | None = None
    scale: Any = 1.0
    long_time: float = 100.0
    explosion: float = 0.1
    conserves_energy: bool = True
    site: str = "spin"
    time_unit: str = "1/J"
    error_unit: str = ""
    n_long: int = 16
    run_seconds: float = 0.3
    cost_seconds: float = 0.05


def fit_corrected(integrator, train, seed):
    """Fit a copy of a CorrectedIntegrator, labels and training timed apart.

    Parameters
    ----------
    integrator : CorrectedIntegrator
    train : xarray.DataArray
    seed : int

    Returns
    -------
    Fit
        Processor seconds; where a corrector wants labels of its own kind (fields, potentials,
        several steps), all of them are counted as training.
    """
    fitted = clone(integrator).set_params(random_state=seed)
    corrector = fitted.corrector
    started, labels = time.process_time(), None
    if corrector.target == "state" and corrector.horizon == 1:
        system, _ = fitted.base.validate(train)
        labels = system.wrap(fitted.make_labels(train), train)
    labelled = time.process_time()
    fitted.fit(train, labels)
    return Fit(fitted, labelled - started, time.process_time() - labelled)


def pretrained(name):
    """A shipped integrator, as the ``fit`` of a :class:`Learned`.

    Parameters
    ----------
    name : str
        One of :func:`~dlintegrate.list_pretrained`.

    Returns
    -------
    callable
        The seconds of the training are those of the card. Those of its labels are what labels of
        a few states of ``train`` take here, scaled to the number of samples on the card; exact
        fields, which may take hours, are not made again: their labels count nothing.
    """
    from ..datasets import describe_pretrained, load_pretrained

    def fit(dt, train, seed):
        integrator, card = load_pretrained(name), describe_pretrained(name)
        if not np.isclose(integrator.dt, dt):
            raise ValueError(f"dt={dt}: {name} was trained for dt={integrator.dt}")
        labels = 0.0
        if integrator.corrector.target == "state":
            few = train[:8]
            integrator.make_labels(few)  # compile
            started = time.process_time()
            integrator.make_labels(few)
            labels = (time.process_time() - started) / len(few) * n_samples_of(card)
        return Fit(integrator, labels, float(card["training_seconds"]), name)

    return fit


def n_samples_of(card):
    """The number of samples that a card of a shipped integrator begins its training set with."""
    return int(card["training_set"].split()[0])
