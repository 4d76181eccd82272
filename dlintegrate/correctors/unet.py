"""The paper's networks: U-Nets that predict the residue of a large step."""

import numbers

import numpy as np

from .._checks import check_count
from .._device import resolve_device
from ._fitted_module import ModuleWeights
from .base import ResidueCorrector, one_step

#: Sites per forward pass, bounds the memory of a prediction.
_SITES_PER_PASS = 2**17
_ACTIVATIONS = ("relu", "gelu", "silu")
_AUGMENTATIONS = {
    None: (),
    "rotations": ("rotations",),
    "lattice": ("lattice",),
    "symmetries": ("rotations", "lattice"),
}


class UNetResidue(ModuleWeights, ResidueCorrector):
    """U-Net that predicts the residue of a step (Park 2022, section 4.1).

    Input are the spins before and after the base step (6 channels), output is the
    residue ``reference - after`` (Eq. 4.4). The encoder repeats two periodic
    3×3×3 convolutions and a 2×2×2 max pooling, the decoder up-samples with
    2×2×2 filters, concatenates the copy of the same level and convolves twice
    (Figs 4.3 and 4.4). A sigmoid gives the residue normalised to [0, 1] by
    ∓λ (Eq. 4.6), with λ a multiple of the standard deviation of the largest
    component; the loss is the mean square error (Eqs 4.7 and 4.8).

    A plain network keeps neither the energy nor the symmetries of the step it
    corrects; |S| is restored by normalisation.

    Parameters
    ----------
    width : int, default 32
        Channels of the first level, doubled at each level below. The paper does
        not give its widths.
    depth : int, default 2
        Number of poolings; every side must be divisible by ``2**depth``.
    bottleneck : {"conv", "dense"}, default "conv"
        Convolutions below the last pooling (any lattice size), or fully
        connected layers as in Fig. 4.4, which tie the network to one size.
    sigma_range : float or "auto", default "auto"
        λ in standard deviations; "auto" is the paper's 11 up to L = 4 and 13 above.
    output : {"sigmoid", "linear"}, default "sigmoid"
        Activation of the output. "linear" predicts in units of one standard
        deviation and has no bound.
    sublattice_channel : bool, default False
        Add a seventh input, (-1)^(x+y+z): which sublattice a site belongs to.
    activation : {"silu", "gelu", "relu"}, default "silu"
        Of the hidden layers; the paper does not give its own. The residue is a
        smooth function of the spins, and rectified units learn it far slower.
    augmentation : {"symmetries", "rotations", "lattice", None}, default "symmetries"
        Transform each training sample at random by a rotation of all spins,
        and by a lattice symmetry that maps each sublattice onto itself; only
        what the base step declares to commute with is used. None as in the paper.
    learning_rate, batch_size, epochs, validation_fraction, patience, scheduler, \
max_gradient_norm, bf16, checkpoint, resume, max_seconds
        See :func:`dlintegrate.correctors.training.train`.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        On the CPU, whatever device they were fitted on.
    scale_ : float
        λ of Eq. 4.6.
    lattice_shape_ : tuple of 3 ints
        Sides of the lattice of the training samples.
    device_ : str
        Where predictions run; the CPU if it is absent.
    history_ : dict of str to list
        Per epoch: ``loss``, ``validation_loss`` (Eq. 4.7), ``learning_rate``, ``seconds``.

    Examples
    --------
    >>> from dlintegrate import UNetResidue
    >>> UNetResidue(bottleneck="dense").local
    False
    """

    #: Single precision: the residue is below 0.1, its relative rounding a few 1e-7.
    batch_tolerance = 1e-7

    def __init__(
        self, width=32, depth=2, bottleneck="conv", sigma_range="auto", output="sigmoid",
        sublattice_channel=False, activation="silu", augmentation="symmetries",
        learning_rate=1e-3, batch_size=64, epochs=100, validation_fraction=0.1, patience=None,
        scheduler="cosine", max_gradient_norm=1.0, bf16=False, checkpoint=None, resume=True,
        max_seconds=None,
    ):  # fmt: skip
        self.width = width
        self.depth = depth
        self.bottleneck = bottleneck
        self.sigma_range = sigma_range
        self.output = output
        self.sublattice_channel = sublattice_channel
        self.activation = activation
        self.augmentation = augmentation
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.scheduler = scheduler
        self.max_gradient_norm = max_gradient_norm
        self.bf16 = bf16
        self.checkpoint = checkpoint
        self.resume = resume
        self.max_seconds = max_seconds

    @property
    def local(self):
        """Whether one fit serves other lattice sizes: not with a dense bottleneck."""
        return self.bottleneck != "dense"

    def guarantees(self, base):
        """The norm only, which the normalisation after the residue restores."""
        return frozenset({"norm"})

    def check(self, base):
        """Parameters, and the dimensions of the lattice; see :meth:`Corrector.check`.

        Raises
        ------
        ValueError
            If one of them cannot be.
        """
        self._check_parameters()
        self._check_dimensions(getattr(base.system, "lattice_shape", ()))

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Train on one-step labels; see :meth:`Corrector.fit`.

        Raises
        ------
        ValueError
            For parameters out of range, or a lattice that does not suit the network.
        """
        import torch

        from .training import description, generator_of, train

        self.check(base)
        system = base.system.matching(X)
        self._check_lattice(system.lattice_shape)
        X = np.asarray(X, dtype=np.float64)
        after = one_step(base, X)
        residue = np.asarray(Y, dtype=np.float64) - after
        self.lattice_shape_ = tuple(system.lattice_shape)
        self.scale_ = self._residue_scale(residue)
        device = resolve_device(device)
        rng = generator_of(random_state)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            module = self._build()
        tensors = {
            "before": torch.as_tensor(X, dtype=torch.float32),
            "after": torch.as_tensor(after, dtype=torch.float32),
            "target": torch.as_tensor(0.5 + residue / (2.0 * self.scale_), dtype=torch.float32),
        }
        self.history_ = train(
            module, tensors, self._loss, learning_rate=self.learning_rate,
            batch_size=self.batch_size, epochs=self.epochs,
            validation_fraction=self.validation_fraction, patience=self.patience,
            scheduler=self.scheduler, max_gradient_norm=self.max_gradient_norm, bf16=self.bf16,
            augment=self._augmentation(base), checkpoint=self.checkpoint, resume=self.resume,
            max_seconds=self.max_seconds, random_state=rng, device=device, progress=progress,
            identity={"corrector": description(self)},
        )  # fmt: skip
        self._keep(module, device)
        return self

    def residue(self, system, before, after):
        """Predicted ``reference - after``, computed in float32 (see ResidueCorrector)."""
        import torch

        self._check_fitted_lattice(before.shape[1:-1])
        device = self._prediction_device()
        out = np.empty(before.shape)
        n = max(1, _SITES_PER_PASS // system.n_sites)
        with torch.no_grad():
            for start in range(0, len(before), n):
                part = slice(start, start + n)
                pair = [
                    torch.as_tensor(a[part], dtype=torch.float32, device=device)
                    for a in (before, after)
                ]
                out[part] = self._residue(self._network(device), *pair).double().cpu().numpy()
        return out

    def residue_tensor(self, system, before, after):
        """Torch twin of :meth:`residue`: differentiable, on the tensors' device."""
        import torch

        self._check_fitted_lattice(before.shape[1:-1])
        single = [tensor.to(torch.float32) for tensor in (before, after)]
        return self._residue(self._network(before.device), *single).to(before.dtype)

    def _residue(self, module, before, after):
        """Invert the normalisation, Eq. 4.6."""
        return (self._normalized(module, before, after) - 0.5) * (2.0 * self.scale_)

    def _normalized(self, module, before, after):
        import torch

        channels = [before, after]
        if self.sublattice_channel:
            sign = _sublattice_sign(before.shape[1:-1]).to(before)
            channels.append(sign[..., None].expand(*before.shape[:-1], 1))
        # the network's output is in standard deviations of the residue (for the
        # sigmoid: near its centre), or the first steps of training overshoot
        raw = module(torch.cat(channels, dim=-1)).float()
        share = raw / (2.0 * self._checked_sigma_range(self.lattice_shape_))
        return torch.sigmoid(4.0 * share) if self.output == "sigmoid" else 0.5 + share

    def _loss(self, module, batch):
        """Eqs 4.7 and 4.8: squared distance per site, mean over sites and samples."""
        predicted = self._normalized(module, batch["before"], batch["after"])
        return (predicted - batch["target"]).square().sum(dim=-1).mean()

    def _residue_scale(self, residue):
        """λ: the range in units of the largest component's standard deviation."""
        sigma = float(residue.reshape(-1, 3).std(axis=0).max())
        if not sigma > 0:
            raise ValueError("Y equals the base step exactly: there is no residue to learn")
        return self._checked_sigma_range(self.lattice_shape_) * sigma

    def _build(self):
        from ._unet_module import UNet

        bottom = None
        if self.bottleneck == "dense":
            bottom = tuple(side // 2**self.depth for side in self.lattice_shape_)
        n_inputs = 7 if self.sublattice_channel else 6
        return UNet(n_inputs, self.width, self.depth, bottom, self.activation)

    def _network(self, device):
        """The module with the fitted weights."""
        import torch

        return self._with_weights(self._build, device, torch.float32)

    def _augmentation(self, base):
        kinds = _AUGMENTATIONS[self.augmentation]
        declared = base.guarantees
        rotations = "rotations" in kinds and "rotation_equivariant" in declared
        lattice = "lattice" in kinds and (
            {"even_translation_equivariant", "translation_equivariant"} & declared
        )
        if not rotations and not lattice:
            return None

        def augment(batch, generator):
            if rotations:
                batch = rotate_spins(batch, generator, ("before", "after"), ("target",))
            return move_sites(batch, generator) if lattice else batch

        return augment

    def _check_parameters(self):
        from .training import check_training

        check_training(self)
        for name in ("width", "depth"):
            check_count(name, getattr(self, name), 1)
        for name, valid in (
            ("bottleneck", ("conv", "dense")),
            ("output", ("sigmoid", "linear")),
            ("activation", _ACTIVATIONS),
            ("augmentation", tuple(_AUGMENTATIONS)),
        ):
            if getattr(self, name) not in valid:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {valid}")
        self._checked_sigma_range((4, 4, 4))

    def _checked_sigma_range(self, sides):
        value = self.sigma_range
        if isinstance(value, str) and value == "auto":
            return 11.0 if max(sides) <= 4 else 13.0
        if not isinstance(value, numbers.Real) or not np.isfinite(value) or value <= 0:
            raise ValueError(f"sigma_range={value!r}: expected 'auto' or a positive number")
        return float(value)

    def _check_dimensions(self, sides):
        if len(sides) != 3:
            raise ValueError(
                f"shape={tuple(sides)}: UNetResidue needs a lattice of three dimensions; "
                "use ElementaryDifferentialResidue or LearnedComposition"
            )

    def _check_lattice(self, sides):
        sides = tuple(sides)
        self._check_dimensions(sides)
        block = 2**self.depth
        if any(side % block for side in sides):
            raise ValueError(
                f"shape={sides}: UNetResidue with depth={self.depth} needs sides divisible by "
                f"{block}; use a smaller depth or another lattice"
            )

    def _check_fitted_lattice(self, sides):
        self._check_fitted()
        self._check_lattice(sides)
        if not self.local and tuple(sides) != tuple(self.lattice_shape_):
            raise ValueError(
                f"shape={tuple(sides)}: a UNetResidue with bottleneck='dense' serves the size it "
                f"was fitted on only, {tuple(self.lattice_shape_)}; fit with bottleneck='conv' "
                "to use any size"
            )


def rotate_spins(batch, generator, vectors, normalized=()):
    """Turn all spins of each sample by a random proper rotation.

    Parameters
    ----------
    batch : dict of str to torch.Tensor, shape (n, *sides, 3)
    generator : torch.Generator
    vectors : tuple of str
        Entries that are vectors.
    normalized : tuple of str
        Entries that are vectors shifted by 1/2 (Eq. 4.6).
    """
    import torch

    some = batch[vectors[0]]
    turn = random_rotations(len(some), generator).to(some)
    turned = {k: torch.einsum("n...c,ndc->n...d", batch[k], turn) for k in vectors}
    turned |= {k: torch.einsum("n...c,ndc->n...d", batch[k] - 0.5, turn) + 0.5 for k in normalized}
    return {**batch, **turned}


def random_rotations(n, generator):
    """Uniform proper rotation matrices, from unit quaternions; tensor (n, 3, 3)."""
    import torch

    q = torch.nn.functional.normalize(torch.randn(n, 4, generator=generator), dim=1)
    w, x, y, z = q.unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=1).reshape(n, 3, 3)


def move_sites(batch, generator):
    """Apply a random lattice symmetry to each sample that keeps the sublattices.

    A permutation of the axes of equal length and reflections, about a site, then
    a translation by a vector whose components sum to an even number.
    """
    import torch

    some = next(iter(batch.values()))
    n, sides = len(some), some.shape[1:-1]
    index = random_site_maps(n, sides, generator).to(some.device)
    index = index + torch.arange(n, device=some.device)[:, None] * index.shape[1]
    return {
        k: v.reshape(-1, v.shape[-1])[index.reshape(-1)].reshape(v.shape) for k, v in batch.items()
    }


def random_site_maps(n, sides, generator):
    """For each sample, the (flat) site that each site takes its spin from; tensor (n, sites)."""
    import torch

    lengths = torch.tensor(sides)
    axes = torch.rand(n, 3, generator=generator).argsort(dim=1)
    keep = (lengths[axes] != lengths).any(dim=1)  # would exchange unequal sides
    axes[keep] = torch.arange(3)
    signs = 1 - 2 * torch.randint(0, 2, (n, 3), generator=generator)
    shift = (torch.rand(n, 3, generator=generator) * lengths).long()
    shift[:, 0] += shift.sum(dim=1) % 2
    grid = torch.cartesian_prod(*(torch.arange(side) for side in sides))
    sites = grid.T[axes].transpose(1, 2) * signs[:, None] + shift[:, None]
    x, y, z = (sites % lengths).unbind(-1)
    return (x * sides[1] + y) * sides[2] + z


def _sublattice_sign(sides):
    """(-1)^(x+y+z) on the lattice, +1 on the sublattice of the origin."""
    import torch

    x, y, z = (torch.arange(side) for side in sides)
    return 1.0 - 2.0 * ((x[:, None, None] + y[:, None] + z) % 2)
