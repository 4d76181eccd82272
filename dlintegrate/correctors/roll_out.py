"""How force correctors are trained: by rolling out large steps against the reference."""

import numbers
from itertools import pairwise

import numpy as np

from .._documentation import Estimator


class RollOut(Estimator):
    """Training of a force corrector by roll-out (Park 2022, Eq. 5.15).

    The loss of a sample after χ large steps is
    ``|q̂ - q| + |p̂ - p| + w_e |Ê - E(0)|``, with shortest periodic images of the
    differences of positions, Euclidean norms over all particles, and the mean over
    samples. χ grows in stages.

    Parameters
    ----------
    horizons : tuple of int, default (1,)
        χ of each stage, increasing.
    epochs : int or tuple of int, default 100
        Per stage.
    energy_weight : float, default 0.0
        w_e. An energy error above 10 ε per particle counts as that: close pairs would
        drown everything else.
    input_noise : float, default 0.0
        Standard deviation of noise on positions and momenta of the inputs; the labels
        stay, so that the network learns to come back.
    squared : bool, default False
        Squares of the norms, as the paper's text has it, instead of the norms of its equation.
    learning_rate, batch_size, validation_fraction, patience, scheduler, max_gradient_norm, \
checkpoint, resume, max_seconds :
        As in the other networks, see :class:`UNetResidue`; ``max_seconds`` is the budget
        of each stage, and the checkpoint of stage k is ``checkpoint`` + ``.k``.

    Examples
    --------
    >>> from dlintegrate import RollOut
    >>> quick = RollOut(horizons=(1, 2), epochs=(50, 10), learning_rate=3e-3)
    """

    def __init__(
        self, horizons=(1,), epochs=100, energy_weight=0.0, input_noise=0.0, squared=False,
        learning_rate=1e-3, batch_size=128, validation_fraction=0.1, patience=None,
        scheduler="cosine", max_gradient_norm=1.0, checkpoint=None, resume=True, max_seconds=None,
    ):  # fmt: skip
        self.horizons = horizons
        self.epochs = epochs
        self.energy_weight = energy_weight
        self.input_noise = input_noise
        self.squared = squared
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.scheduler = scheduler
        self.max_gradient_norm = max_gradient_norm
        self.checkpoint = checkpoint
        self.resume = resume
        self.max_seconds = max_seconds

    def stages(self):
        """Horizon and number of epochs of each stage.

        Returns
        -------
        list of (int, int)

        Raises
        ------
        ValueError
            If they are not positive ints, not increasing, or their numbers differ.
        """
        horizons = _ints("horizons", self.horizons)
        if any(b <= a for a, b in pairwise(horizons)):
            raise ValueError(f"horizons={self.horizons!r}: expected increasing numbers of steps")
        epochs = _ints("epochs", self.epochs)
        if len(epochs) == 1:
            epochs = epochs * len(horizons)
        if len(epochs) != len(horizons):
            raise ValueError(
                f"epochs={self.epochs!r}: expected one int, or one for each of "
                f"horizons={self.horizons!r}"
            )
        return list(zip(horizons, epochs, strict=True))

    def check(self):
        """Raise ValueError for parameters that are out of range."""
        from .training import check_training

        check_training(self, epochs=max(epochs for _, epochs in self.stages()))
        for name in ("energy_weight", "input_noise"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r}: expected a number, 0 or more")

    def run(self, module, X, Y, law, *, device, random_state, progress, corrector=""):
        """Train ``module`` in place, stage by stage.

        Parameters
        ----------
        module : torch.nn.Module
            Its ``step(q, p, side)`` makes one large step.
        X : ndarray, shape (n_samples, 2, n_particles + 1, 2)
        Y : ndarray, shape (n_samples, horizon, 2, n_particles + 1, 2)
        law : tuple
            Force law, for the energy term.
        device, random_state, progress
            As in :meth:`Corrector.fit`.
        corrector : str
            Of another one, a checkpoint is refused.

        Returns
        -------
        dict of lists
            History of all stages, with ``horizon`` for each epoch.
        """
        import torch

        from .training import digest, generator_of, train

        rng = generator_of(random_state)
        history = {}
        for stage, (horizon, epochs) in enumerate(self.stages()):
            tensors = {"start": torch.as_tensor(X), "label": torch.as_tensor(Y[:, horizon - 1])}
            checkpoint = None if self.checkpoint is None else f"{self.checkpoint}.{stage}"
            # each stage belongs to the one before it: begun from other weights it is another run
            before = {"before": digest(module.state_dict())} if stage else {}
            part = train(
                module, tensors, _Loss(horizon, self.energy_weight, self.squared, law),
                learning_rate=self.learning_rate, batch_size=self.batch_size, epochs=epochs,
                validation_fraction=self.validation_fraction, patience=self.patience,
                scheduler=self.scheduler, max_gradient_norm=self.max_gradient_norm,
                augment=self._noise() if self.input_noise else None, checkpoint=checkpoint,
                resume=self.resume, max_seconds=self.max_seconds, random_state=rng,
                device=device, progress=progress,
                identity={
                    "energy_weight": self.energy_weight, "input_noise": self.input_noise,
                    "squared": self.squared, "corrector": corrector, **before,
                },
            )  # fmt: skip
            part["horizon"] = [horizon] * len(part["loss"])
            for name, values in part.items():
                history.setdefault(name, []).extend(values)
        return history

    def _noise(self):
        def augment(batch, generator):
            import torch

            start = batch["start"]
            noise = self.input_noise * torch.randn(
                start[:, :, :-1].shape, generator=generator, dtype=start.dtype
            ).to(start.device)
            noise = noise - noise.mean(dim=2, keepdim=True)  # the centre of mass stays
            noisy = torch.cat([start[:, :, :-1] + noise, start[:, :, -1:]], dim=2)
            return {**batch, "start": noisy}

        return augment


class _Loss:
    """Eq. 5.15 after ``horizon`` steps."""

    def __init__(self, horizon, energy_weight, squared, law):
        self.horizon, self.energy_weight = horizon, energy_weight
        self.squared, self.law = squared, law

    def __call__(self, module, batch):
        from .._kernels.pairs_torch import nearest

        start, label = batch["start"], batch["label"]
        side = start[:, 0, -1, 0]
        q, p = start[:, 0, :-1], start[:, 1, :-1]
        for _ in range(self.horizon):
            q, p = module.step(q, p, side)
        dq = nearest(q - label[:, 0, :-1], side[:, None, None])
        dp = p - label[:, 1, :-1]
        square = dq.square().sum((1, 2)), dp.square().sum((1, 2))
        if self.squared:
            loss = square[0] + square[1]
        else:  # the root is not differentiable at zero
            loss = sum((s + 1e-12).sqrt() for s in square)
        if self.energy_weight:
            loss = loss + self.energy_weight * self._energy_error(q, p, start, side)
        return loss.mean()

    def _energy_error(self, q, p, start, side):
        from .._kernels.pairs_torch import potential_energy

        n = q.shape[1]
        energy = potential_energy(q, side, self.law) + 0.5 * p.square().sum((1, 2))
        q0, p0 = start[:, 0, :-1], start[:, 1, :-1]
        before = potential_energy(q0, side, self.law) + 0.5 * p0.square().sum((1, 2))
        return (energy - before).abs().clamp(max=10.0 * n)


def _ints(name, value):
    values = (value,) if isinstance(value, numbers.Integral) else tuple(np.atleast_1d(value))
    if not values or any(not isinstance(v, int | np.integer) or v < 1 for v in values):
        raise ValueError(f"{name}={value!r}: expected positive ints")
    return tuple(int(v) for v in values)
