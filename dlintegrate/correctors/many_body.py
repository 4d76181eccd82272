"""ManyBodyForce: a network of the fields around each particle."""

from .network_force import NetworkForce, check_positive


class ManyBodyForce(NetworkForce):
    """Effective many-body forces (MB-NN, Park 2022, Eqs 5.7-5.12).

    Six points on a hexagon around particle i probe its surroundings: the gradient of the
    potential of all other particles, each component clipped to ±ω, and the momentum field,
    the mean of all momenta weighted by the inverse distance (Eq. 5.9: its sum includes
    particle i), relative to ``p_i``. A network of these 24 numbers and dt/2 gives the force.

    As the paper writes it, neither the total momentum nor rotations are respected. With
    ``equivariant=True`` the force is one of neighbouring pairs: for the pair (i, k), the
    hexagons around both are turned so that a corner lies on the line that joins
    them; the network sees both, symmetric under reflection about the line and under
    exchange, and its two outputs point along and across the line. So forces are
    antisymmetric and turn with the sample; they have no part across the line where
    symmetry forbids it.

    Added to the paper: the clipped gradient g enters as ``asinh(g)/2`` (it spans decades),
    momenta in units of √ε, forces are in units of ``2 √ε / dt``, and training starts
    from no force at all. Grid points closer than 0.1σ to a particle count as at 0.1σ.

    Parameters
    ----------
    width, depth : int, default 64 and 2
        Hidden layers of each network.
    equivariant : bool, default False
    grid_radius : float, default 0.1
        Of the hexagon, in σ. The paper does not state it. The smaller it is, the
        faster the training: where grid points reach the neighbours, the clipped
        gradient tells little about them.
    clip : float, default 108.35
        ω in ε/σ. The paper's value; it says that this is the gradient at 0.9σ, which is
        138.66 (108.35 belongs to 0.9146σ).
    reach : float, default 3.0
        Distance, in σ, at which the equivariant force has faded to zero. Not used
        without ``equivariant``.
    training : RollOut, optional
    precision : {"double", "single"}, default "double"
        Of the networks when they predict; sums over pairs are always in double precision.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    history_ : dict of lists
    """

    def __init__(
        self, width=64, depth=2, equivariant=False, grid_radius=0.1, clip=108.35, reach=3.0,
        training=None, precision="double",
    ):  # fmt: skip
        self.width = width
        self.depth = depth
        self.equivariant = equivariant
        self.grid_radius = grid_radius
        self.clip = clip
        self.reach = reach
        self.training = training
        self.precision = precision

    def _check_parameters(self):
        super()._check_parameters()
        check_positive(self, "grid_radius", "clip", "reach")

    def _force(self, law, dt):
        return many_body_net(self, law, dt)


def many_body_net(corrector, law, dt):
    """The network of one force, from the parameters of a corrector."""
    from ._force_modules import EquivariantManyBodyNet, ManyBodyNet

    common = law, dt, corrector.width, corrector.depth, corrector.grid_radius, corrector.clip
    if corrector.equivariant:
        return EquivariantManyBodyNet(*common, corrector.reach)
    return ManyBodyNet(*common)
