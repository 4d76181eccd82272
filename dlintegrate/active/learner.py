"""Active learning: label what an ensemble of potentials is unsure about, and nothing else."""

import xarray as xr
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._checks import check_count
from .calibration import calibrate, measure
from .ensemble import Ensemble
from .explorers import Explorer
from .frame_sets import check_one, labelled_part
from .labellers import as_labeller
from .rounds import Run, worst_error
from .selection import check_fraction, check_positive, check_trust


class ActiveLearner(BaseEstimator):
    """Train an ensemble of potentials, explore with it, label what it is unsure about, repeat.

    A round has the stages train, measure, explore, choose, label. With a ``folder`` each
    of them leaves its result there, so a run that is killed at any moment continues with the
    same call of :meth:`fit`, and ends as if it had never stopped, bit for bit.

    Parameters
    ----------
    potential : Potential
        Cloned for each member of the ensemble. To the path of a checkpoint each training adds
        its seed.
    labeller : AtomicSystem or callable
        A function takes frames and returns them with labels, possibly fewer of them, or None if
        the labels are not there yet; see :class:`FolderLabeller`. Virials are trained on if the
        initial frames and all answers have them; a system gives them where the initial frames do.
    explorer : Explorer
        :class:`DynamicsExplorer`, :class:`PoolExplorer` or your own.
    n_models : int, default 4
        Members of the ensemble; they differ by their seed, and see other frames with a
        ``subsample``.
    subsample : float, default 1.0
        Share of the training frames that each member sees, drawn for each. Below 1 for
        potentials that are fitted by linear regression or nearly so: seeds alone do not keep
        those apart, and an ensemble that agrees on its mistakes tells nothing.
    trust : "auto", (low, high) or dict, default "auto"
        Deviations between which a frame is worth a label. The deviation of a frame is the largest
        over its atoms of the root mean square distance of the members from their mean. A dict
        has pairs for ``"force"`` and ``"magnetic_force"``. Automatic levels: the lower one is
        the deviation at which the calibrated error of an atom reaches the ``tolerance``, the
        upper one ten times that. Calibrated is on the frames labelled in the last round, before
        they were learned; in the first round, on held-out frames.
    trust_unit : {"rms", "absolute"}, default "rms"
        Whether ``trust`` is in units of the rms length of the labels, or in eV/Å and eV/μB.
    tolerance : float, default 0.05
        Wanted error of forces and of magnetic forces, in units of the rms label.
    coverage : float, default 0.99
        Converged are potentials whose errors on held-out frames are within the tolerance, and
        that are sure (below the lower level) about this share of what they explore.
    selection : {"deviation", "random"}, default "deviation"
        ``"random"`` draws from the explored frames without a look at their deviation, as a
        baseline.
    batch_size : int, default 10
        Labels per round.
    max_per_trajectory : int, optional
        Labels per round from one trajectory.
    n_rounds : int, default 10
        Of labelling.
    max_labels : int, optional
        In total, beyond the initial frames.
    patience : int, default 3
        Rounds without progress on held-out frames after which the run has stalled.
    validation : xarray.Dataset or float, default 0.1
        Labelled frames to measure errors on, or the share of all labels that is held out for it.
        With 0 there is no such error, and agreement alone counts as convergence; a share that is
        less than one frame yet is no measure, and no convergence.
    warm_start : bool, default True
        Retrain from the former weights.
    retrain : dict, optional
        Parameters of the potential from the second training on: fewer epochs, for instance.
    folder : str or path-like, optional
        Where the state of the run is kept.
    n_jobs : int, optional
        Members trained, and temperatures explored, in parallel, through joblib.
    random_state : int, default 0

    Attributes
    ----------
    potentials_ : list of Potential
        The ensemble.
    potential_ : Potential
        The member with the smallest error on held-out frames.
    frames_ : xarray.Dataset
        All labelled frames, with the coordinates ``round(frame)`` (-1 for the initial ones) and
        ``held_out(frame)``.
    rounds_ : list of dict
        The record of each round: numbers of labels, errors on held-out frames, calibration, trust
        levels, and what became of the explored frames.
    stopped_ : str
        ``"converged"``, ``"budget"``, ``"stalled"``, ``"pending"``, ``"exploration failed"`` or
        ``"labelling failed"``.
    message_ : str
        The same in a sentence.

    Notes
    -----
    The scheme is that of Zhang, Lin, Wang, Car and E (Phys. Rev. Materials 3, 023804, 2019), with
    the deviation of magnetic forces beside that of forces.
    """

    def __init__(
        self, potential, labeller, explorer, n_models=4, subsample=1.0, trust="auto",
        trust_unit="rms", tolerance=0.05, coverage=0.99, selection="deviation", batch_size=10,
        max_per_trajectory=None, n_rounds=10, max_labels=None, patience=3, validation=0.1,
        warm_start=True, retrain=None, folder=None, n_jobs=None, random_state=0,
    ):  # fmt: skip
        self.potential = potential
        self.labeller = labeller
        self.explorer = explorer
        self.n_models = n_models
        self.subsample = subsample
        self.trust = trust
        self.trust_unit = trust_unit
        self.tolerance = tolerance
        self.coverage = coverage
        self.selection = selection
        self.batch_size = batch_size
        self.max_per_trajectory = max_per_trajectory
        self.n_rounds = n_rounds
        self.max_labels = max_labels
        self.patience = patience
        self.validation = validation
        self.warm_start = warm_start
        self.retrain = retrain
        self.folder = folder
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, initial_frames):
        """Run rounds until there is a reason to stop, or continue a run that was interrupted.

        Parameters
        ----------
        initial_frames : xarray.Dataset
            Labelled; a few tens of frames of one composition.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            On parameters or frames that cannot be, or if the folder belongs to another run.
        """
        self._check(initial_frames)
        Run(self, labelled_part(initial_frames)).go()
        return self

    def predict(self, frames):
        """Mean of the ensemble and its deviation; see :meth:`Ensemble.predict`."""
        check_is_fitted(self, "potentials_")
        return Ensemble(self.potentials_).predict(frames)

    def score(self, frames):
        """Minus the larger relative error of force and magnetic force, rms over members.

        Parameters
        ----------
        frames : xarray.Dataset
            Labelled.

        Returns
        -------
        float
            Not above 0; the best is 0.
        """
        check_is_fitted(self, "potentials_")
        return -worst_error(measure(Ensemble(self.potentials_), frames))

    def calibrate(self, frames):
        """How far the deviation tells the error on labelled frames; see :func:`calibrate`."""
        check_is_fitted(self, "potentials_")
        return calibrate(Ensemble(self.potentials_), frames)

    def _check(self, frames):
        check_one(frames, "initial_frames")
        for name, least in (("n_models", 1), ("batch_size", 1), ("n_rounds", 0), ("patience", 1)):
            check_count(name, getattr(self, name), least)
        check_count("random_state", self.random_state, 0)
        for name in ("max_per_trajectory", "max_labels"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), 1)
        for name in ("tolerance", "subsample"):
            check_positive(name, getattr(self, name))
        check_fraction("subsample", self.subsample)
        check_fraction("coverage", self.coverage)
        trust = check_trust(self.trust)
        for name, allowed in (
            ("trust_unit", ("rms", "absolute")),
            ("selection", ("deviation", "random")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {allowed}")
        if trust is None and self.trust_unit == "absolute":
            raise ValueError('trust="auto" is in units of the rms label: give levels, or "rms"')
        if self.n_models == 1 and self.selection == "deviation":
            raise ValueError("n_models=1: a single potential has no deviation; take 2 or more")
        if not isinstance(self.explorer, Explorer):
            raise TypeError(f"explorer={self.explorer!r}: expected an Explorer")
        self.explorer.check()
        as_labeller(self.labeller)
        if isinstance(self.validation, xr.Dataset):
            check_one(self.validation, "validation")
        else:
            check_fraction("validation", self.validation, high=0.9)
        if self.warm_start and "warm_start" not in self.potential.get_params(deep=False):
            raise ValueError(
                f"warm_start=True: {type(self.potential).__name__} has no such parameter; "
                "set warm_start=False to train anew in each round"
            )
