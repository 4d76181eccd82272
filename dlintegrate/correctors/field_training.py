"""How fields are learned: loss, symmetry by augmentation, schedule."""

import numbers
from functools import lru_cache

import numpy as np

from .._documentation import Estimator


class FieldTraining(Estimator):
    """Training of a learned field.

    Parameters
    ----------
    loss : {"squares", "relative"}, default "squares"
        "relative" is Cheng 2023, Eq. 11: the absolute errors of the components over the
        length of the torque, averaged over sites. "squares" is the mean square error
        of a sample over its mean square torque, averaged over samples: states near
        equilibrium, with small torques, count as much as the others.
    floor : float, default 0.2
        Torques below this count as this, in units of the mean torque (of the residue that
        is learned; of the initial weights). Eq. 11 has none and
        diverges where a torque vanishes.
    augmentation : bool, default True
        Transform each training sample at random by the symmetries of the s-d model that
        the network does not have: O(3) of the spins, D6 of the lattice.
    learning_rate, batch_size, epochs, validation_fraction, patience, scheduler, \
max_gradient_norm, checkpoint, resume, max_seconds
        See :func:`dlintegrate.correctors.training.train`. The validation set is drawn from
        the samples at random; where these are frames of trajectories it is no test,
        so the default keeps none aside.
    compile : bool, default False
        Compile the network first (``torch.compile``, which needs a C++ compiler): minutes
        at the start, then several times faster on a CPU. Not with a learned energy.
    optimizer : {"adam", "soap"}, default "adam"
        See :func:`dlintegrate.correctors.training.train`. Directional networks learn several
        times faster with "soap".
    balance : float, default 1.0
        Between 0, where "squares" is a plain mean square error and states with large torques
        decide, and 1, where the relative error of each state counts.
    initial_weights : dict of str to ndarray, optional
        ``state_dict()`` of a fitted corrector with the same parameters: training goes on from
        there, with more states for instance, and in the same units. By default the first weights
        are random, and torques in units of their mean over the training set.

    Examples
    --------
    >>> from dlintegrate import EquivariantTorque, FieldTraining
    >>> quick = EquivariantTorque(depth=2, training=FieldTraining(epochs=20))
    """

    def __init__(
        self, loss="squares", floor=0.2, augmentation=True, learning_rate=3e-3, batch_size=8,
        epochs=100, validation_fraction=0.0, patience=None, scheduler="cosine",
        max_gradient_norm=1.0, checkpoint=None, resume=True, max_seconds=None, compile=False,
        optimizer="adam", balance=1.0, initial_weights=None,
    ):  # fmt: skip
        self.loss = loss
        self.floor = floor
        self.augmentation = augmentation
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.scheduler = scheduler
        self.max_gradient_norm = max_gradient_norm
        self.checkpoint = checkpoint
        self.resume = resume
        self.max_seconds = max_seconds
        self.compile = compile
        self.optimizer = optimizer
        self.balance = balance
        self.initial_weights = initial_weights

    def run(self, module, tensors, missing, *, device, random_state, progress, corrector=""):
        """Train ``module`` in place.

        Parameters
        ----------
        module : torch.nn.Module
        tensors : dict of torch.Tensor, shape (n_samples, 3, X, Y)
            ``spins``, further vectors that the module takes, and ``torques`` that it should
            give (or residues: what is perpendicular to the spins), in the units of the module.
        missing : set of str
            Symmetries that the module does not have: "rotation", "lattice".
        device, random_state, progress
            As in :meth:`Corrector.fit`.
        corrector : str
            Of another one, a checkpoint is refused.

        Returns
        -------
        dict of lists

        Raises
        ------
        ValueError
            For parameters out of range.
        """
        import torch

        from .training import train

        self.check()
        if self.initial_weights is not None:
            self._begin_with(module)
        forward = torch.compile(module) if self.compile else module
        by_kernels = torch.device(device).type == "cpu" and not self.compile
        at_once = getattr(module, "samples_per_pass", None) if by_kernels else None
        loss = self._squares if self.loss == "squares" else self._relative
        return train(
            module, tensors, lambda _, batch: loss(forward, batch),
            learning_rate=self.learning_rate, batch_size=self.batch_size, epochs=self.epochs,
            validation_fraction=self.validation_fraction, patience=self.patience,
            scheduler=self.scheduler, max_gradient_norm=self.max_gradient_norm,
            augment=_augmentation(missing) if self.augmentation and missing else None,
            checkpoint=self.checkpoint, resume=self.resume, max_seconds=self.max_seconds,
            random_state=random_state, device=device, progress=progress,
            identity={**self._identity(), "corrector": corrector},
            samples_per_pass=at_once, optimizer=self.optimizer,
        )  # fmt: skip

    def _begin_with(self, module):
        """Give the module the initial weights."""
        import torch

        try:
            module.load_state_dict({
                name: torch.as_tensor(value)
                for name, value in self.initial_weights.items()
                if not name.endswith("_")
            })  # fmt: skip
        except (AttributeError, RuntimeError, TypeError) as error:
            raise _not_initial(str(error).splitlines()[-1].strip()) from None

    def initial_units(self, names):
        """Numbers of these names that belong to the initial weights; nothing without weights."""
        if self.initial_weights is None:
            return ()
        try:
            units = tuple(float(self.initial_weights[name]) for name in names)
        except (KeyError, TypeError, ValueError) as error:
            raise _not_initial(f"{type(error).__name__}: {error}") from None
        if not all(0 < unit < np.inf for unit in units):
            raise _not_initial(f"units {units}, which should be positive")
        return units

    def _identity(self):
        """What makes a run another one; checkpoints of earlier versions know no balance."""
        import torch

        from .training import digest

        names = ["loss", "floor", "augmentation"] + ["balance"] * (self.balance != 1)
        identity = {name: getattr(self, name) for name in names}
        if self.initial_weights is not None:
            start = {k: torch.as_tensor(v) for k, v in self.initial_weights.items()}
            identity["initial_weights"] = digest(start)
        return identity

    def check(self):
        """Raise ValueError for parameters that are out of range."""
        from .training import check_training

        check_training(self)
        if self.loss not in ("squares", "relative"):
            raise ValueError(f"loss={self.loss!r}: expected 'squares' or 'relative'")
        if not isinstance(self.floor, numbers.Real) or not 0 < self.floor < np.inf:
            raise ValueError(f"floor={self.floor!r}: expected a positive number")
        if not isinstance(self.balance, numbers.Real) or not 0 <= self.balance <= 1:
            raise ValueError(f"balance={self.balance!r}: expected a number from 0 to 1")
        for name in ("augmentation", "compile"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected True or False")

    def _relative(self, module, batch):
        """Eq. 11 with a floor."""
        error, torque = _torque_error(module, batch)
        length = torque.square().sum(1).sqrt().clamp(min=self.floor)
        return (error.abs().sum(1) / length).mean()

    def _squares(self, module, batch):
        error, torque = _torque_error(module, batch)
        square = torque.square().sum(1).mean((1, 2)).clamp(min=self.floor**2)
        return (error.square().sum(1).mean((1, 2)) / square**self.balance).mean()


def _not_initial(reason):
    return ValueError(
        "initial_weights: expected the state_dict() of a corrector with the same parameters "
        f"({reason})"
    )


def _torque_error(module, batch):
    """Difference of predicted and exact torque, and the exact one."""
    spins, torque = batch["spins"], batch["torques"]
    field = module(*(vectors for name, vectors in batch.items() if name != "torques"))
    field = field - (field * spins).sum(1, keepdim=True) * spins
    return field - torque, torque


def _augmentation(missing):
    def augment(batch, generator):
        if "rotation" in missing:
            batch = turn_spins(batch, generator)
        return move_sites(batch, generator) if "lattice" in missing else batch

    return augment


def turn_spins(batch, generator):
    """Turn all vectors of each sample by a random element of O(3), half of them reflections."""
    import torch

    from .unet import random_rotations

    some = next(iter(batch.values()))
    signs = 1 - 2 * torch.randint(0, 2, (len(some), 1, 1), generator=generator)
    turn = (signs * random_rotations(len(some), generator)).to(some)
    return {k: torch.einsum("ncd,ndxy->ncxy", turn, v) for k, v in batch.items()}


def move_sites(batch, generator):
    """Move the sites of each sample by a random element of the lattice's point group."""
    import torch

    some = next(iter(batch.values()))
    places = point_group(tuple(some.shape[2:])).to(some.device)
    drawn = torch.randint(len(places), (len(some),), generator=generator).to(some.device)
    places = places[drawn][:, None]
    return {k: v.flatten(2).gather(2, places.expand_as(v.flatten(2))).view_as(v)
            for k, v in batch.items()}  # fmt: skip


@lru_cache(maxsize=16)
def point_group(sides):
    """For each element, the flat number of the site that comes to each site.

    D6 on lattices with equal sides, the inversion alone on others.

    Returns
    -------
    torch.Tensor of int64, shape (n_elements, n_sites)
    """
    import torch

    x, y = np.indices(sides)
    elements = []
    if sides[0] == sides[1]:
        for a, b in ((x, y), (y, x)):
            for _ in range(6):
                elements.append((a, b))
                a, b = -b, a + b
    else:
        elements = [(x, y), (-x, -y)]
    numbers = [(a % sides[0] * sides[1] + b % sides[1]).ravel() for a, b in elements]
    return torch.as_tensor(np.stack(numbers))
