"""How the networks of potentials are trained: the loss on an energy and its gradients."""

import numbers

import numpy as np
from sklearn.base import BaseEstimator


class PotentialTraining(BaseEstimator):
    """Training of a potential in steps, with weights that move with the learning rate.

    The loss is ``Σ w (error / spread)²`` over energy per atom, forces, magnetic forces of magnetic
    atoms and, if wanted, virials, each a mean over frames and components. A weight is that
    of the potential (``energy_weight`` …) at the end, and at the start that times a factor
    given here; between, it follows the learning rate, as DeepSPIN does it.

    Parameters
    ----------
    energy_start, force_start, magnetic_start : float, default 0.02, 1 and 1
        These factors. Forces, of which a frame has many, lead first.
    learning_rate, batch_size, epochs, validation_fraction, patience, scheduler, \
max_gradient_norm, checkpoint, resume, max_seconds
        See :func:`dlintegrate.correctors.training.train`. Without validation the last weights
        are kept.

    Examples
    --------
    >>> from dlintegrate import DeepSpinPotential, PotentialTraining
    >>> quick = DeepSpinPotential(training=PotentialTraining(epochs=20))
    """

    def __init__(
        self, energy_start=0.02, force_start=1.0, magnetic_start=1.0, learning_rate=3e-3,
        batch_size=4, epochs=100, validation_fraction=0.0, patience=None, scheduler="cosine",
        max_gradient_norm=1.0, checkpoint=None, resume=True, max_seconds=None,
    ):  # fmt: skip
        self.energy_start = energy_start
        self.force_start = force_start
        self.magnetic_start = magnetic_start
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

    def run(
        self, module, tensors, weights, scales, *, validation=None, random_state=None, identity=None
    ):
        """Train ``module`` in place.

        Parameters
        ----------
        module : torch.nn.Module
            With ``energies(position, spin, kind, neighbour, offset)``.
        tensors : dict of torch.Tensor
            What :func:`frame_tensors` returned, energies without the shift of species.
        weights, scales : dict of str to float
            Of each label: what it counts, and its spread.
        validation : dict of torch.Tensor, optional
        random_state : int, Generator or None
        identity : dict, optional
            As in :func:`~dlintegrate.correctors.training.train`.

        Returns
        -------
        dict of lists
        """
        from ..correctors.training import train

        self.check()
        starts = {
            "energy": self.energy_start, "force": self.force_start,
            "magnetic_force": self.magnetic_start, "virial": self.energy_start,
        }  # fmt: skip
        wanted = {k: w for k, w in weights.items() if w > 0 and k in tensors}

        def loss(module, batch, share):
            present = {k: w * (1 + share * (starts[k] - 1)) for k, w in wanted.items()}
            return label_loss(module, batch, present, scales)

        return train(
            module, tensors, loss, validation=validation, scheduled=True,
            learning_rate=self.learning_rate, batch_size=self.batch_size, epochs=self.epochs,
            validation_fraction=self.validation_fraction, patience=self.patience,
            scheduler=self.scheduler, max_gradient_norm=self.max_gradient_norm,
            checkpoint=self.checkpoint, resume=self.resume, max_seconds=self.max_seconds,
            random_state=random_state,
            identity={"weights": repr(wanted), "starts": repr(starts), **(identity or {})},
        )  # fmt: skip

    def check(self):
        """Raise ValueError for parameters that are out of range."""
        from ..correctors.training import check_training

        check_training(self)
        for name in ("energy_start", "force_start", "magnetic_start"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r}: expected a number of at least 0")


def gradients(module, batch, *, virial=False, create_graph=False):
    """Energies of a batch and what follows from them.

    Parameters
    ----------
    module : torch.nn.Module
    batch : dict of torch.Tensor
    virial, create_graph : bool, default False

    Returns
    -------
    dict of str to Tensor
        ``energy``, ``force``, ``magnetic_force`` and, if wanted, ``virial``.
    """
    import torch

    with torch.enable_grad():
        position = batch["position"].detach().requires_grad_()
        spin = batch["spin"].detach().requires_grad_()
        inputs = [position, spin]
        x, offset = position, batch["offset"]
        if virial:
            strain = torch.zeros(len(x), 3, 3, dtype=x.dtype, device=x.device, requires_grad=True)
            inputs.append(strain)
            x = x + torch.einsum("fab,fib->fia", strain, x)
            offset = offset + torch.einsum("fab,finb->fina", strain, offset)
        energy = module.energies(x, spin, batch["kind"], batch["neighbour"], offset)
        slopes = torch.autograd.grad(energy.sum(), inputs, create_graph=create_graph)
    names = ("force", "magnetic_force", "virial")
    return {"energy": energy, **{n: -g for n, g in zip(names, slopes, strict=False)}}


def label_loss(module, batch, weights, scales):
    """Weighted sum of mean squared errors, each over the square of its spread."""
    known = gradients(module, batch, virial="virial" in weights, create_graph=module.training)
    n_atoms = batch["n_atoms"].to(known["energy"])
    real = batch["kind"] >= 0
    loss = 0.0
    for name, weight in weights.items():
        off = (known[name] - batch[name]) / scales[name]
        if name == "energy":
            square = (off / n_atoms).square().mean()
        elif name == "virial":
            square = (off / n_atoms[:, None, None]).square().mean()
        else:
            chosen = real if name == "force" else batch["magnetic"]
            square = off[chosen].square().mean()
        loss = loss + weight * square
    return loss
