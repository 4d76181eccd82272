"""A network of vectors that turns with the spins."""

from .field import FieldCorrector


class EquivariantTorque(FieldCorrector):
    """Local field from channels of vectors: equivariant under O(3) and D6 by construction.

    The first layer sums spins over hexagonal shells up to ``first_reach`` (with nothing
    behind it, this would be a learned RKKY exchange). Each block then spreads the vectors
    to neighbours and multiplies them by gates, which are functions of invariants: of dot
    products of vectors at a site. Kernels depend on the orbit of a displacement under D6,
    times the harmonics of orders 0, 1 and 2 of its angle. The field is the sum of the
    vectors, weighted by invariants again; it changes sign with the spins.

    With ``directional=True`` each channel comes six times, once for each bond of a site, and
    keeps its direction from block to block, as electrons do. Such a network has fewer weights
    for the same error, and on a processor kernels of its own; the first call compiles them,
    for seconds. It is what ``load_pretrained("sd-torque")`` holds. The default stays without,
    for files of older versions.

    Parameters
    ----------
    n_vectors, n_scalars : int, default 16
        Channels. Directional ones count six times: half as many do.
    n_directed : int, default 4
        Channels of each of the orders 1 and 2; 0 for isotropic kernels only. Directional
        networks have none.
    depth : int, default 4
        Blocks. With 0, sums over neighbours by distance are gated once at each site: close to
        a linear field.
    reach : int, default 2
        Of a block's kernels, in bonds.
    first_reach : int, default 6
        Of the first layer. A torque depends on spins up to ``first_reach + depth * reach``.
    energy : bool, default False
        Learn an energy and take its gradient: costs about three times as much, and
        damped spins cannot gain energy for ever. Not for directional networks.
    training : FieldTraining, optional
    precision : {"single", "double"}, default "single"
        Of predictions. Only double precision is exact enough for guarantees to rounding.
    directional : bool, default False
        Channels with a direction.
    n_hidden : int, default 16
        Width of the layer from invariants to gates, in a directional network.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    scale_ : float
        Unit of torques: their mean over the training set, or that of the initial weights.
    history_ : dict of lists

    Examples
    --------
    >>> from dlintegrate import (CorrectedIntegrator, EquivariantTorque, FieldTraining,
    ...     SemiImplicitB, TriangularSDModel)
    >>> model = TriangularSDModel(shape=(12, 12))
    >>> network = EquivariantTorque(depth=1, training=FieldTraining(epochs=2, batch_size=1))
    >>> learned = CorrectedIntegrator(SemiImplicitB(model, dt=0.5, damping=0.1), network)
    >>> learned = learned.fit(model.random_states(2, random_state=0))
    >>> larger = TriangularSDModel(shape=(24, 24)).random_states(1, random_state=1)
    >>> learned.step(larger).shape
    (1, 24, 24, 3)
    """

    def __init__(
        self, n_vectors=16, n_scalars=16, n_directed=4, depth=4, reach=2, first_reach=6,
        energy=False, training=None, precision="single", directional=False, n_hidden=16,
    ):  # fmt: skip
        self.n_vectors = n_vectors
        self.n_scalars = n_scalars
        self.n_directed = n_directed
        self.depth = depth
        self.reach = reach
        self.first_reach = first_reach
        self.energy = energy
        self.training = training
        self.precision = precision
        self.directional = directional
        self.n_hidden = n_hidden

    @property
    def field_symmetries(self):
        """Both."""
        return frozenset({"rotation", "lattice"})

    @property
    def conservative(self):
        """With ``energy=True``."""
        return bool(self.energy)

    def _check_parameters(self):
        super()._check_parameters()
        self._check_counts(n_vectors=1, n_scalars=1, n_directed=0, depth=0, reach=1, first_reach=1,
                           n_hidden=1)  # fmt: skip
        if self.energy and self.training is not None and self.training.compile:
            raise ValueError("compile=True with energy=True: torch cannot compile its gradient")
        for name in ("energy", "directional"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected True or False")
        if self.energy and self.directional:
            raise ValueError("energy=True with directional=True: choose one of the two")

    def _build(self):
        if self.directional:
            from ._directional_network import DirectionalNetwork

            return DirectionalNetwork(
                self.n_vectors, self.n_scalars, self.n_hidden, self.depth, self.reach,
                self.first_reach,
            )  # fmt: skip
        from ._field_modules import VectorNetwork

        return VectorNetwork(
            self.n_vectors, self.n_scalars, self.n_directed, self.depth, self.reach,
            self.first_reach, self.energy,
        )  # fmt: skip
