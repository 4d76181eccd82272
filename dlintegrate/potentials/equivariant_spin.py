"""A potential of invariants: functions of pairs, densities of atoms and of spins, a network."""

import numpy as np

from .._checks import check_count
from .._kernels.neighbours import closest_pair, pairs_within
from .._kernels.spin_descriptors import ALL_FORMS, ISOTROPIC_FORMS, count_invariants
from .._kernels.spin_potential import evaluate
from ._linear_fit import LinearFit
from .base import Potential, composition_shift, lost, without_shift

#: Neighbour lists of dynamics reach this much further, in Å, and are kept while they are valid.
SKIN = 0.4


class EquivariantSpinPotential(Potential):
    """Energies from invariants of positions and spins under rotation, inversion and time reversal.

    Each atom's energy is a sum of three parts:

    - functions of pairs: ``Σ_j g(r_ij) f(σ_i, σ_j)`` with f = 1, the product σ_i·σ_j, its powers,
      and their products with the squared lengths of the spins, σ = S/moment;
    - a linear function of invariants of the densities ``A_lm = Σ_j g(r) Y_lm`` and
      ``B_lm^a = Σ_j g(r) Y_lm σ_j^a`` about the atom: ``A_l·A_l``, ``B_l·B_l``, ``σ_i·(A_l B_l)``
      and ``(σ_i·B)²`` between all channels;
    - a network of one hidden layer of the same invariants, to which ``width`` gives its size.

    The first two are linear in their coefficients, which are found by ridge regression on
    energies, forces and magnetic forces at once: exactly, in seconds, from few frames.
    Training in steps then adds the network to them.

    The densities are those of the atomic cluster expansion (Drautz 2019, 2020), kept to low order.
    All invariants are even in the spins, and the energy is smooth (twice continuously
    differentiable) where a neighbour comes within the cutoff.

    Parameters
    ----------
    cutoff : float, default 5.0
        Of the neighbours of an atom, in Å.
    n_basis : int, default 12
        Radial functions of pairs.
    n_channels : int, default 4
        Radial functions of densities: mixtures of the basis, for each pair of species.
    lmax : {0, 1, 2, 3}, default 2
        Largest degree of the densities.
    width : int, default 0
        Hidden layer of the network; with 0 the fit ends with the ridge regression.
    spin_orbit : bool, default False
        Add invariants of positions and spins together (anisotropy, pseudo-dipolar and
        antisymmetric exchange). Without them, spins alone can be rotated at no cost: exactly.
    alpha : float, optional
        Strength of the ridge; chosen by cross-validation over blocks of frames by default.
    energy_weight, force_weight, magnetic_weight, virial_weight : float, default 0.4, 1, 1 and 0.1
        What the relative mean square error of each label counts, where the frames have it. Labels
        that agree with each other can all be had, whatever the weights; where they do not, it is
        the forces that move a dynamics. Without virials the pressure is not determined.
    stiffness : float, default 10.0
        Of a wall ``stiffness (d - r)³`` (eV/Å³) at distances below the shortest d of the frames
        between two species: where nothing is known, atoms part again. It is 0 in all frames.
    precision : {"double", "single"}, default "double"
        Of :meth:`compute`, and of training in steps; the regression is always in double.
    training : PotentialTraining, optional
        Of the network.
    warm_start : bool, default False
        Keep the channels of the former fit; with a network, go on from its weights.
    random_state : int, Generator or None
        Of the channels and of the network: potentials of different seeds are an ensemble.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    alpha_ : float
        Strength of the ridge.
    species_, moments_, scales_, history_
        See :class:`Potential`.

    Examples
    --------
    >>> from dlintegrate import EquivariantSpinPotential
    >>> potential = EquivariantSpinPotential(cutoff=4.5, random_state=0)
    """

    def __init__(
        self, cutoff=5.0, n_basis=12, n_channels=4, lmax=2, width=0, spin_orbit=False,
        alpha=None, energy_weight=0.4, force_weight=1.0, magnetic_weight=1.0, virial_weight=0.1,
        stiffness=10.0, precision="double", training=None, warm_start=False, random_state=None,
    ):  # fmt: skip
        self.cutoff = cutoff
        self.n_basis = n_basis
        self.n_channels = n_channels
        self.lmax = lmax
        self.width = width
        self.spin_orbit = spin_orbit
        self.alpha = alpha
        self.energy_weight = energy_weight
        self.force_weight = force_weight
        self.magnetic_weight = magnetic_weight
        self.virial_weight = virial_weight
        self.stiffness = stiffness
        self.precision = precision
        self.training = training
        self.warm_start = warm_start
        self.random_state = random_state

    @property
    def symmetries(self):
        """Joint rotation, inversion, time reversal; separate rotation without spin-orbit."""
        kept = super().symmetries | {"inversion", "time_reversal"}
        return kept | {"spin_rotation"} if not self.spin_orbit else kept

    def _check_parameters(self):
        super()._check_parameters()
        for name, least in (("n_basis", 2), ("n_channels", 1), ("lmax", 0), ("width", 0)):
            check_count(name, getattr(self, name), least)
        if self.lmax > 3:
            raise ValueError(f"lmax={self.lmax!r}: expected at most 3")
        if self.spin_orbit and self.lmax < 1:
            raise ValueError("spin_orbit=True needs vectors: set lmax to 1 or more")
        if not 0 <= self.stiffness < np.inf:
            raise ValueError(f"stiffness={self.stiffness!r}: expected a number of at least 0")
        if self.alpha is not None and not 0 < self.alpha < np.inf:
            raise ValueError(f"alpha={self.alpha!r}: expected a positive number or None")

    def _fit(self, parts, validation):
        from ..correctors.training import generator_of

        rng = generator_of(self.random_state)
        before = getattr(self, "weights_", None) if self.warm_start else None
        shift = np.zeros(len(self.species_))
        if "energy" in parts[0]:
            shift = composition_shift(parts, self.species_)[0]
        centred = [without_shift(part, self.species_, shift) for part in parts]
        channels = self._channels(rng, before)
        linear = LinearFit(
            channels, self._n_forms, self.lmax, bool(self.spin_orbit), float(self.cutoff),
            self.species_, self._inverse_moments,
        ).fit(centred, self._weights_over_scales(), self.alpha)  # fmt: skip
        self.alpha_ = linear.alpha
        self._take(linear, channels, rng, before, self._walls(parts))
        self.history_ = {"loss": []}
        if self.width:
            self._train(centred, validation, shift, rng)
        self.weights_["shift"] = self.weights_["shift"] + shift

    @property
    def _n_forms(self):
        return ALL_FORMS if self.spin_orbit else ISOTROPIC_FORMS

    @property
    def _inverse_moments(self):
        moments = self.moments_
        return np.where(moments > 0, 1 / np.where(moments > 0, moments, 1.0), 0.0)

    def _weights_over_scales(self):
        weights = self._weights()
        return {k: w / self.scales_.get(k, 1.0) ** 2 for k, w in weights.items()}

    def _channels(self, rng, before):
        """Random mixtures of the basis, low degrees first; those of the former fit when warm."""
        n_species = len(self.species_)
        shape = (n_species, n_species, self.n_basis, self.n_channels)
        if before is not None and before["channels"].size == np.prod(shape):
            return before["channels"].reshape(shape)
        fade = 1 / (1 + (np.arange(self.n_basis) / 3.0) ** 2)
        return rng.normal(size=shape) * fade[:, None]

    def _walls(self, parts):
        """Shortest distance of each pair of species in the frames, shape (n_species, n_species)."""
        shortest = np.full((len(self.species_),) * 2, np.inf)
        for part in parts:
            for first, a in enumerate(self.species_):
                for second, b in enumerate(self.species_):
                    r = _closest(part, a, b, float(self.cutoff))
                    shortest[first, second] = min(shortest[first, second], r)
        return np.where(np.isfinite(shortest), shortest, 0.0)

    def _take(self, linear, channels, rng, before, wall):
        """Make the weights from the solution of the regression."""
        n = linear.n_invariants
        n_species = len(self.species_)
        hidden = rng.normal(size=(n_species, self.width, n)) / np.sqrt(n)
        self.weights_ = {
            "forms": linear.forms, "channels": channels.reshape(n_species**2, self.n_basis, -1),
            "linear": linear.linear, "mean": linear.mean, "spread": linear.spread,
            "hidden": hidden, "bias": np.zeros((n_species, self.width)),
            "output": np.zeros((n_species, self.width)), "shift": linear.shift,
            "inverse_moment": self._inverse_moments, "wall": wall,
        }  # fmt: skip
        if before is not None and before["hidden"].shape == hidden.shape:
            for name in ("hidden", "bias", "output"):
                self.weights_[name] = before[name]

    def _train(self, centred, validation, shift, rng):
        """Train the network in steps, the regression's result being kept."""
        import torch

        from ..correctors.training import description

        dtype = torch.float64 if self.precision == "double" else torch.float32
        module = self._module(dtype)
        for name in ("forms", "channels", "linear"):
            getattr(module, name).requires_grad_(False)
        tensors = self._tensors(centred, dtype)
        if validation is not None:
            validation = [without_shift(part, self.species_, shift) for part in validation]
            validation = self._tensors(validation, dtype)
        self.history_ = self._training().run(
            module, tensors, self._weights(), self.scales_, validation=validation,
            random_state=rng, identity={"potential": description(self)},
        )  # fmt: skip
        self._keep(module)

    def _tensors(self, parts, dtype):
        from ._tensors import frame_tensors

        return frame_tensors(parts, self.species_, self.moments_, float(self.cutoff), dtype)

    def _module(self, dtype):
        """The torch twin with the present weights."""
        import torch

        from ._equivariant_module import InvariantEnergy

        with torch.random.fork_rng(devices=[]):
            module = InvariantEnergy(
                len(self.species_), self.n_basis, self.n_channels, self.lmax, self.width,
                float(self.cutoff), bool(self.spin_orbit), float(self.stiffness),
            )  # fmt: skip
        module.to(dtype)
        module.load_state_dict({k: torch.as_tensor(v) for k, v in self.weights_.items()})
        return module

    def _keep(self, module):
        weights = {k: v.double().numpy().copy() for k, v in module.state_dict().items()}
        self.weights_ = weights

    # Evaluation --------------------------------------------------------------------------

    def _evaluate(self, positions, cell, spins, kinds, virial, moving):
        n_samples, n_atoms, _ = positions.shape
        pairs = pairs_within(positions, cell, float(self.cutoff), SKIN if moving else 0.0)
        packed = self._packed()
        sigma = spins * self._inverse_moments[kinds, None]
        energy = np.empty(n_samples)
        force, field = np.empty((2, n_samples * n_atoms, 3))
        stress = np.empty((n_samples, 3, 3))
        evaluate(
            positions.reshape(-1, 3), sigma.reshape(-1, 3), kinds,
            (self.moments_ > 0).astype(float), n_atoms, pairs.second, pairs.offset, pairs.starts,
            float(self.cutoff), *packed, self._n_forms, self.lmax, bool(self.spin_orbit), energy,
            force, field, stress,
        )  # fmt: skip
        energy += self.weights_["shift"][kinds].sum() + self._constant()[kinds].sum()
        field = field.reshape(spins.shape) * self._inverse_moments[kinds, None]
        known = [energy, force.reshape(spins.shape), field, stress if virial else None]
        return lost(known, positions, spins)

    def _packed(self):
        """Weights as the kernel takes them, in its precision; kept until they change."""
        key = (id(self.weights_), self.precision, self.stiffness)
        cache = self.__dict__.setdefault("_cache", {})
        if cache.get("key") != key:
            cache.update(key=key, packed=self._pack())
        return cache["packed"]

    def _pack(self):
        self._check_weights()
        w, n_species = self.weights_, len(self.species_)
        dtype = np.float64 if self.precision == "double" else np.float32
        radial = np.concatenate([w["forms"], w["channels"]], axis=-1)
        radial = radial.reshape(n_species, n_species, *radial.shape[1:])
        hidden = w["hidden"] / w["spread"][:, None]
        bias = w["bias"] - np.einsum("shd,sd->sh", hidden, w["mean"])
        linear = w["linear"] / w["spread"]
        arrays = radial, w["wall"], float(self.stiffness), linear, hidden, bias, w["output"]
        return [
            np.ascontiguousarray(a, dtype=dtype) if isinstance(a, np.ndarray) else a for a in arrays
        ]

    def _check_weights(self):
        """Raise ValueError if parameters that give the weights their shape have changed."""
        w, n_species = self.weights_, len(self.species_)
        n = count_invariants(self.n_channels, self.lmax, self.spin_orbit)
        expected = {
            "forms": (n_species**2, self.n_basis, self._n_forms),
            "channels": (n_species**2, self.n_basis, self.n_channels),
            "hidden": (n_species, self.width, n),
        }
        if any(w[name].shape != shape for name, shape in expected.items()):
            raise ValueError(f"{self!r} was fitted with other parameters; fit it again")

    def _constant(self):
        """What the mean of the invariants takes from the energy of an atom of each species."""
        w = self.weights_
        return -(w["linear"] * w["mean"] / w["spread"]).sum(1)


def _closest(part, a, b, cutoff):
    """Shortest distance between atoms of two species in frames, infinite beyond the cutoff."""
    first, second = part.species.values == a, part.species.values == b
    chosen = first | second
    positions = np.ascontiguousarray(part.position.values[:, chosen])
    pairs = pairs_within(positions, part.cell.values, cutoff)
    if a != b:
        kinds = np.tile(first[chosen], len(positions))
        unlike = kinds[pairs.first] != kinds[pairs.second]
        pairs = pairs._replace(
            first=pairs.first[unlike], second=pairs.second[unlike], offset=pairs.offset[unlike]
        )
    squares = np.empty(len(positions))
    closest_pair(positions, pairs.first, pairs.second, pairs.offset, cutoff, squares)
    return float(np.sqrt(squares.min()))
