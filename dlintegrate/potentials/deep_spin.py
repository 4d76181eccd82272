"""The potential of DeepSPIN: a descriptor of atoms and of the tips of their spins."""

import numpy as np

from ._tensors import frame_tensors, neighbour_table
from .base import Potential, composition_shift, lost, without_shift

#: Atoms of one pass of a prediction.
_ATOMS_PER_PASS = 4096


class DeepSpinPotential(Potential):
    """Deep Potential with pseudo-atoms at the tips of the spins, as DeepSPIN has it.

    Each atom with a moment has a pseudo-atom at ``R + reach S/μ``. Descriptor and energy are
    those of Deep Potential's smooth edition (two-body embedding, ``se_e2_a``) with the
    pseudo-atoms as neighbours of another type; the energy is a sum over real atoms alone (Yang
    and co-workers, "Deep learning illuminates spin and lattice interaction in magnetic
    materials", 2023).

    It is invariant under joint rotations and reflections of positions and pseudo-atoms. As a
    reflection leaves moments that are axial vectors as they are, rotation is all that it has of
    physics: neither S → -S nor rotations of the spins alone. It is here for comparison; see
    :class:`EquivariantSpinPotential`.

    Parameters
    ----------
    cutoff : float, default 5.0
        In Å.
    smooth : float, optional
        Where neighbours begin to fade; a tenth of the cutoff by default.
    reach : float, default 0.4
        Distance of a pseudo-atom from its atom (η) for a spin of its species' moment, in Å.
    embedding : tuple of int, default (10, 20, 40)
        Layers of the embedding of a neighbour.
    n_axis : int, default 8
        Columns of the second factor of the descriptor.
    fitting : tuple of int, default (48, 48, 48)
        Layers of the network of an atom's energy.
    energy_weight, force_weight, magnetic_weight, virial_weight : float, default 1, 1, 1 and 0
        What the relative mean square error of each label counts at the end of the training.
    precision : {"single", "double"}, default "single"
    training : PotentialTraining, optional
    warm_start : bool, default False
        Go on from the weights of the former fit.
    random_state : int, Generator or None

    Attributes
    ----------
    weights_ : dict of str to ndarray
    species_, moments_, scales_, history_
        See :class:`Potential`.
    """

    def __init__(
        self, cutoff=5.0, smooth=None, reach=0.4, embedding=(10, 20, 40), n_axis=8,
        fitting=(48, 48, 48), energy_weight=1.0, force_weight=1.0, magnetic_weight=1.0,
        virial_weight=0.0, precision="single", training=None, warm_start=False, random_state=None,
    ):  # fmt: skip
        self.cutoff = cutoff
        self.smooth = smooth
        self.reach = reach
        self.embedding = embedding
        self.n_axis = n_axis
        self.fitting = fitting
        self.energy_weight = energy_weight
        self.force_weight = force_weight
        self.magnetic_weight = magnetic_weight
        self.virial_weight = virial_weight
        self.precision = precision
        self.training = training
        self.warm_start = warm_start
        self.random_state = random_state

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("embedding", "fitting"):
            widths = getattr(self, name)
            if not widths or any(int(w) != w or w < 1 for w in widths):
                raise ValueError(f"{name}={widths!r}: expected widths of layers, ints above 0")
        if not 1 <= self.n_axis <= self.embedding[-1]:
            raise ValueError(
                f"n_axis={self.n_axis!r}: expected 1 to {self.embedding[-1]}, the last embedding"
            )
        if not 0 < self.reach < np.inf:
            raise ValueError(f"reach={self.reach!r}: expected a positive distance in Å")
        if self.smooth is not None and not 0 < self.smooth < self.cutoff:
            raise ValueError(f"smooth={self.smooth!r}: expected a distance below the cutoff")

    def _fit(self, parts, validation):
        import torch

        from ..correctors.training import description, generator_of

        rng = generator_of(self.random_state)
        before = getattr(self, "weights_", None) if self.warm_start else None
        shift = np.zeros(len(self.species_))
        if "energy" in parts[0]:
            shift = composition_shift(parts, self.species_)[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            module = self._build()
        tensors = self._tensors([without_shift(part, self.species_, shift) for part in parts])
        if before is None:
            self._start(module, tensors)
        else:
            module.load_state_dict({k: torch.as_tensor(v) for k, v in before.items()})
            module.shift.zero_()
        if validation is not None:
            validation = [without_shift(part, self.species_, shift) for part in validation]
            validation = self._tensors(validation)
        self.history_ = self._training().run(
            module, tensors, self._weights(), self.scales_, validation=validation,
            random_state=rng, identity={"potential": description(self)},
        )  # fmt: skip
        weights = {k: v.double().numpy().copy() for k, v in module.state_dict().items()}
        weights["shift"] = shift
        self.weights_ = weights

    def _start(self, module, tensors):
        """Scales of inputs and outputs, before any training."""
        reach = np.where(self.moments_ > 0, self.reach / np.maximum(self.moments_, 1e-12), 0.0)
        module.reach.copy_(module.reach.new_tensor(reach))
        module.scale.fill_(self.scales_.get("force", 10 * self.scales_.get("energy", 0.1)))
        some = slice(None, None, max(1, len(tensors["kind"]) // 16))
        module.prepare({k: v[some] for k, v in tensors.items()})

    @property
    def _dtype(self):
        import torch

        return torch.float64 if self.precision == "double" else torch.float32

    def _build(self):
        from ._deep_spin_module import DeepSpinEnergy

        smooth = 0.1 * self.cutoff if self.smooth is None else self.smooth
        return DeepSpinEnergy(
            len(self.species_), float(self.cutoff), float(smooth), tuple(self.embedding),
            self.n_axis, tuple(self.fitting),
        ).to(self._dtype)  # fmt: skip

    @property
    def _table_cutoff(self):
        """A spin's tip may be nearer than its atom; longer spins than the mean are allowed for."""
        return float(self.cutoff) + 1.25 * float(self.reach)

    def _tensors(self, parts):
        moments = self.moments_
        return frame_tensors(parts, self.species_, moments, self._table_cutoff, self._dtype)

    def _module(self):
        """The fitted network, built once and never pickled."""
        from ..correctors._fitted_module import with_weights

        key = (id(self.weights_), self.precision)
        cache = self.__dict__.setdefault("_cache", {})
        if cache.get("key") != key:
            module = with_weights(self._build, self.weights_, self)
            cache.update(key=key, module=module.eval().requires_grad_(False))
            # a sum that single precision would round to its last digits
            cache["shift"] = self.weights_["shift"]
            module.shift.zero_()
        return cache["module"]

    def _evaluate(self, positions, cell, spins, kinds, virial, moving):
        import torch

        from .training import gradients

        module = self._module()
        cells = np.broadcast_to(cell, (len(positions), 3, 3))
        step = max(1, _ATOMS_PER_PASS // positions.shape[1])
        parts = []
        for start in range(0, len(positions), step):
            part = slice(start, start + step)
            tables = [
                neighbour_table(x, c, self._table_cutoff)
                for x, c in zip(positions[part], cells[part], strict=True)
            ]
            most = max(table[0].shape[1] for table in tables)
            batch = _batch(positions[part], spins[part], kinds, tables, most, self._dtype)
            known = gradients(module, batch, virial=virial)
            parts.append({k: v.detach().to(torch.float64).numpy() for k, v in known.items()})
        joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        joined["energy"] = joined["energy"] + self.weights_["shift"][kinds].sum()
        names = ("energy", "force", "magnetic_force", "virial")
        return lost([joined.get(name) for name in names], positions, spins)


def _batch(positions, spins, kinds, tables, most, dtype):
    """Tensors of frames of one composition."""
    import torch

    neighbour = np.full((*positions.shape[:2], most), -1)
    offset = np.zeros((*neighbour.shape, 3))
    for number, (near, shift) in enumerate(tables):
        neighbour[number, :, : near.shape[1]] = near
        offset[number, :, : near.shape[1]] = shift
    return {
        "position": torch.as_tensor(positions, dtype=dtype),
        "spin": torch.as_tensor(spins, dtype=dtype),
        "kind": torch.as_tensor(np.tile(kinds, (len(positions), 1))),
        "neighbour": torch.as_tensor(neighbour),
        "offset": torch.as_tensor(offset, dtype=dtype),
    }
