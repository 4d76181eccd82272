"""LearnedComposition: the correction whose step costs what a classical one of its stages does."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._checks import check_count
from ..integrators.composition import SublatticeComposition
from ..systems import HeisenbergLattice
from . import composition_starts as starts
from .base import Corrector
from .composition_fit import OneStepError, Parametrisation, lbfgs, levenberg_marquardt
from .training import generator_of

_INITS = ("auto", "blanes-moan", "suzuki", "random")
_SOLVERS = ("levenberg-marquardt", "lbfgs")
#: Sweeps of the processor, and steps between its start and its undoing in the fit.
_PROCESSOR_SWEEPS = 8
_PROCESSOR_STARTS = 3
_PROCESSOR_STEPS = 4
#: Spins used by the fit by default; a few dozen parameters need no more.
_N_FIT_SPINS = 6_000
_N_SCREEN_SPINS = 2_000


class LearnedComposition(Corrector):
    """A composition of sublattice sweeps whose coefficients are learned.

    The corrected step is a palindromic sequence of exact rotations, as
    :class:`~dlintegrate.SuzukiTrotter2` and :class:`~dlintegrate.BlanesMoan4` are,
    with the coefficients that make the one-step error smallest over the samples
    at the dt of the base. Order conditions are given up for what counts at a
    large step. Energy, norms, time reversal and equivariance stay exact, whatever
    is learned; it runs in the same kernel as the classical compositions, at
    ``2 stages`` half sweeps per step, and on every lattice size.

    Parameters
    ----------
    stages : int, default 6
        A step has ``2 stages`` half sweeps (adjacent ones fused). At equal cost
        more stages mean a larger dt: at dt in proportion, eight to ten are ahead of
        six in the error of one step at every cost that was measured, but not in all
        of the errors after a fixed time.
    angle_function : bool, default True
        Learn the angles ``a |h| dt [1 + dt² (c1 |h|² + c2 (S·h)² + c3 (S·h))]``
        of the sweeps too; |h| and S·h stand still during a sweep.
    processor : bool, default False
        Learn a short composition as well that is applied once at the start of a
        run and undone at each output. The fit then minimises the error after four
        steps instead of one. Time reversal is lost.
    init : {"auto", "blanes-moan", "suzuki", "random"} or array-like, default "auto"
        Where to start: ``"auto"`` tries the shipped coefficients for this number of
        stages and the classical methods, and keeps the best. An array of shape
        (2 stages + 1,) gives sweep lengths, palindromic with sums one.
    n_restarts : int, default 0
        Random starts in addition (at least one with ``init="random"``).
    max_iter : int, default 60
        Iterations per start.
    n_fit_samples : int, optional
        Samples used, chosen evenly over the size of the classical error. Default:
        as many as hold 6,000 spins, at least eight.
    solver : {"levenberg-marquardt", "lbfgs"}, default "levenberg-marquardt"
        Damped Gauss-Newton through the numba kernel, or L-BFGS through its
        differentiable torch twin on ``device``. The first needs far fewer
        iterations and no torch.

    Attributes
    ----------
    coefficients_ : ndarray, shape (2 stages + 1,)
        Sweep lengths in units of dt.
    angle_coefficients_ : ndarray, shape (2 stages + 1, 3), or None
        c1, c2, c3 of each sweep.
    processor_, processor_angles_ : ndarray or None
        The same of the processor, shape (n_processor,) and (n_processor, 3).
    first_ : int
        Sublattice of the first sweep.
    dt_ : float
        The time step they were learned for.
    n_half_sweeps_ : int
        Cost of a step.
    start_ : str
        Which start won.
    history_ : dict of lists
        ``"loss"`` at each iteration: root mean square over the samples of the error of
        one step (four with a processor), relative to that of the classical method of
        as many stages (Blanes-Moan for 6 and 10).

    Notes
    -----
    The idea of fitting splitting coefficients to a class of problems rather than
    to order conditions is old (Blanes, Casas and Murua 2014, *Splitting methods
    with optimised coefficients*); processing is of Butcher (1969).

    Examples
    --------
    >>> from dlintegrate import (CorrectedIntegrator, HeisenbergLattice,
    ...     LearnedComposition, SuzukiTrotter2, sample_canonical)
    >>> samples = sample_canonical(HeisenbergLattice(4), 1.0, 8, random_state=0)
    >>> base = SuzukiTrotter2(HeisenbergLattice(4), dt=0.1)
    >>> corrected = CorrectedIntegrator(base, LearnedComposition(stages=6)).fit(samples)
    >>> corrected.corrector_.n_half_sweeps_
    12
    """

    def __init__(
        self, stages=6, angle_function=True, processor=False, init="auto", n_restarts=0,
        max_iter=60, n_fit_samples=None, solver="levenberg-marquardt",
    ):  # fmt: skip
        self.stages = stages
        self.angle_function = angle_function
        self.processor = processor
        self.init = init
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.n_fit_samples = n_fit_samples
        self.solver = solver

    @property
    def local(self):
        """True: a sweep sees nearest neighbours only."""
        return True

    @property
    def n_free_(self):
        """Number of learned parameters."""
        check_is_fitted(self, "coefficients_")
        return self._parametrisation().n_free

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Learn the coefficients; see :meth:`Corrector.fit`.

        Parameters
        ----------
        base : Integrator
            Gives the system, the time step and the first sublattice.
        X, Y : ndarray, shape (n_samples, *sides, 3)
        device : str, default "cpu"
            Of ``solver="lbfgs"``.
        random_state : numpy.random.Generator, int or None
            Of the random starts.
        progress : bool, default False

        Raises
        ------
        ValueError
            On bad parameters, odd lattice sides, a system without sublattices, or a base with
            damping or noise.
        """
        self.check(base)
        rng = generator_of(random_state)
        self.dt_ = base.checked_dt()
        self.first_ = int(getattr(base, "first", 0))
        problem = _Problem(self, base, X, Y)
        candidates = self._starts(problem, rng, (base, X, Y, device, progress))
        ranked = self._screen(problem, candidates, progress)
        name, parameters, history = self._refine(problem, ranked, device, progress)
        self._store(problem.parametrisation, parameters)
        self.start_, self.history_ = name, {"loss": history}
        self._fall_back(problem, dict(candidates)[name], parameters)
        return self

    def bind(self, base):
        """Return the learned composition for the system of ``base``.

        Parameters
        ----------
        base : Integrator

        Raises
        ------
        ValueError
            If the time step is not (plus or minus) the one learned for.
        """
        check_is_fitted(self, "coefficients_")
        if not np.isclose(abs(base.checked_dt()), abs(self.dt_), rtol=1e-12):
            raise ValueError(
                f"the composition was learned for dt={self.dt_}, the base has dt={base.dt}; "
                "fit again with that dt"
            )
        return SublatticeComposition(
            base.system, base.dt, self.coefficients_, self.angle_coefficients_, self.first_,
            self.processor_, self.processor_angles_,
        )  # fmt: skip

    def guarantees(self, base):
        """What :meth:`bind` keeps: everything that a classical composition keeps."""
        return self.bind(base).guarantees

    def check(self, base):
        """Parameters and the system; see :meth:`Corrector.check`.

        Raises
        ------
        ValueError
            On bad parameters, odd lattice sides, or a system without sublattices.
        """
        for name, least in (("stages", 1), ("n_restarts", 0), ("max_iter", 0)):
            check_count(name, getattr(self, name), least)
        count = self.n_fit_samples
        if count is not None:
            check_count("n_fit_samples", count, 1)
        if not _is(self.solver, *_SOLVERS):
            raise ValueError(f"solver={self.solver!r}: expected one of {_SOLVERS}")
        self._check_init()
        if not isinstance(base.system, HeisenbergLattice):
            raise ValueError(
                f"system={base.system!r}: LearnedComposition needs a HeisenbergLattice, "
                "whose two sublattices it turns in turn"
            )
        for name in ("damping", "temperature"):
            if value := getattr(base, name, 0):
                raise ValueError(
                    f"base has {name}={value!r}: a composition of rotations keeps the energy; use "
                    "ElementaryDifferentialResidue, or a base without"
                )
        if any(side % 2 for side in base.system.lattice_shape):
            raise ValueError(
                f"shape={base.system.lattice_shape}: LearnedComposition updates two "
                "sublattices and needs even sides"
            )

    def _check_init(self):
        if isinstance(self.init, str):
            if self.init not in _INITS:
                raise ValueError(f"init={self.init!r}: expected one of {_INITS} or an array")
            return
        lengths = np.asarray(self.init, dtype=np.float64)
        if lengths.shape != (2 * self.stages + 1,) or not np.isfinite(lengths).all():
            raise ValueError(
                f"init has shape {lengths.shape}: expected ({2 * self.stages + 1},), finite, "
                f"for stages={self.stages}"
            )

    def _parametrisation(self):
        processor = _PROCESSOR_SWEEPS if self.processor else 0
        return Parametrisation(int(self.stages), bool(self.angle_function), processor)

    def _starts(self, problem, rng, fit_arguments):
        """Name and free parameters of every start."""
        parametrisation, coupling = problem.parametrisation, problem.system.coupling
        if self.processor:
            return self._processed_starts(parametrisation, coupling, rng, fit_arguments)
        named = []
        if not isinstance(self.init, str):
            named.append(("given", (np.asarray(self.init, dtype=np.float64),)))
        elif self.init == "auto":
            shipped = starts.shipped(self.stages, self.dt_ * coupling)
            named += [(name, step) for name, step, _ in shipped]
        if _is(self.init, "auto", "blanes-moan"):
            named.append(("blanes-moan", (starts.blanes_moan(self.stages),)))
        if _is(self.init, "auto", "suzuki"):
            named.append(("suzuki", (starts.suzuki(self.stages),)))
        for i in range(max(self.n_restarts, _is(self.init, "random"))):
            named.append((f"random {i}", (starts.scatter(self.stages, rng),)))
        return [
            (name, parametrisation.parameters(starts.rows(*step, coupling=coupling)))
            for name, step in named
        ]

    def _processed_starts(self, parametrisation, coupling, rng, fit_arguments):
        """What is learned without processor, with random processors; and the shipped ones.

        Random, for all first derivatives vanish at a processor of length zero.
        """
        found = []
        if _is(self.init, "auto"):
            for name, *both in starts.shipped(self.stages, self.dt_ * coupling, True):
                pair = (starts.rows(*part, coupling=coupling) for part in both)
                found.append((name, parametrisation.parameters(*pair)))
        base, X, Y, device, progress = fit_arguments
        plain = clone(self).set_params(processor=False)
        plain.fit(base, X, Y, device=device, random_state=rng, progress=progress)
        step = starts.rows(plain.coefficients_, plain.angle_coefficients_)
        for i in range(_PROCESSOR_STARTS):
            chi = np.zeros((_PROCESSOR_SWEEPS, 4))
            chi[:, 0] = 0.1 * rng.standard_normal(_PROCESSOR_SWEEPS)
            found.append((f"{plain.start_}, processor {i}", parametrisation.parameters(step, chi)))
        return found

    def _screen(self, problem, candidates, progress):
        """Order the starts by what a few iterations on a few samples make of them."""
        if len(candidates) == 1:
            return [(*candidates[0], 1.0)]
        error = problem.error(problem.few)
        found = []
        for name, start in _bar(candidates, progress, "starts"):
            moved, history = levenberg_marquardt(error, start, min(self.max_iter, 15))
            found.append((name, moved, history[-1]))
        return sorted(found, key=lambda entry: entry[2])

    def _refine(self, problem, ranked, device, progress):
        """Run the solver from the best start, and from the second if it is close."""
        error = problem.error(problem.many)
        found = []
        close = [entry for entry in ranked[:2] if entry[2] < 1.3 * ranked[0][2]]
        for name, start, _ in close:
            with _bar(range(self.max_iter), progress, f"from {name}") as bar:

                def report(rms, bar=bar):
                    bar.update()
                    bar.set_postfix(rms=f"{rms:.2e}")

                found.append((name, *self._solve(error, start, device, report)))
        return min(found, key=lambda entry: entry[2][-1])

    def _solve(self, error, start, device, report):
        if self.solver == "levenberg-marquardt":
            return levenberg_marquardt(error, start, self.max_iter, callback=report)
        from .._device import resolve_device

        return lbfgs(error, start, self.max_iter, device=resolve_device(device), callback=report)

    def _fall_back(self, problem, start, parameters):
        """Keep the start if learning made the error over all samples worse."""
        error = problem.error(slice(None))
        before, after = (np.linalg.norm(error(p)) for p in (start, parameters))
        if not after <= before:
            self._store(problem.parametrisation, start)
            warnings.warn(
                f"learning from {self.start_!r} did not lower the error over all samples "
                f"({before:.3g} before, {after:.3g} after); the start is kept. Use more samples",
                RuntimeWarning,
                stacklevel=3,
            )

    def _store(self, parametrisation, parameters):
        step, chi = parametrisation.sweeps(parameters)
        self.coefficients_, self.angle_coefficients_ = _split(step, self.angle_function)
        self.processor_, self.processor_angles_ = None, None
        if self.processor:
            self.processor_, self.processor_angles_ = _split(chi, self.angle_function)
        self.n_half_sweeps_ = len(self.coefficients_) - 1


class _Problem:
    """States, targets and weights of one fit."""

    def __init__(self, corrector, base, X, Y):
        self.parametrisation = corrector._parametrisation()
        self.system = base.system.matching(X)
        self.dt, self.first = corrector.dt_, corrector.first_
        self.n_steps = _PROCESSOR_STEPS if corrector.processor else 1
        self.X, self.Y = X, self._targets(Y)
        classical = self._composition(corrector.stages, 1).advance(X, self.n_steps)
        error = np.sqrt(((classical - self.Y) ** 2).sum(-1).reshape(len(X), -1).mean(1))
        # relative to the classical method, or cold samples would rule; the floor
        # keeps nearly aligned ones from ruling in their turn
        typical = np.sqrt((error**2).mean()) or 1.0
        self.weights = 1.0 / np.hypot(error, 0.1 * typical)
        order = np.argsort(error, kind="stable")
        count = corrector.n_fit_samples or max(8, _N_FIT_SPINS // self.system.n_sites)
        self.many = _evenly(order, count)
        self.few = _evenly(order, min(count, max(4, _N_SCREEN_SPINS // self.system.n_sites)))

    def _targets(self, Y):
        """With a processor: the reference ``n_steps`` steps after the start."""
        if self.n_steps == 1:
            return Y
        return self._composition(10, _FINE).advance(Y, _FINE * (self.n_steps - 1))

    def _composition(self, stages, n_parts):
        """The classical method of so many stages at a part of the time step."""
        lengths = starts.blanes_moan(stages)
        return SublatticeComposition(self.system, self.dt / n_parts, lengths, first=self.first)

    def error(self, chosen):
        """The residuals over the chosen samples."""
        return OneStepError(
            self.parametrisation, self.system, self.dt, self.X[chosen], self.Y[chosen],
            self.weights[chosen], self.n_steps, self.first,
        )  # fmt: skip


#: Sub-steps of the sixth-order reference that continues the labels for a processor.
_FINE = 20


def _is(value, *names):
    """Whether a parameter that may be an array is one of these strings."""
    return isinstance(value, str) and value in names


def _evenly(order, count):
    """``count`` of the indices ``order``, evenly spaced."""
    if count >= len(order):
        return np.sort(order)
    return np.sort(order[np.linspace(0, len(order) - 1, count).round().astype(int)])


def _split(rows, angle_function):
    """Lengths a and coefficients c of rows ``(a, a c)``."""
    lengths = rows[:, 0].copy()
    if not angle_function:
        return lengths, None
    safe = np.where(np.abs(lengths) > 1e-12, lengths, np.inf)
    return lengths, rows[:, 1:] / safe[:, None]


def _bar(iterable, progress, label):
    from tqdm.auto import tqdm

    return tqdm(iterable, desc=label, disable=not progress, leave=False)
