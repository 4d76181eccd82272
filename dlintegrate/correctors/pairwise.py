"""PairwiseForce: a network for each pair."""

from .network_force import NetworkForce


class PairwiseForce(NetworkForce):
    """Effective pair forces (PW-NN, Park 2022, Eqs 5.4-5.6).

    The force on particle i is the sum over all k ≠ i of a network of
    ``Δq = q_i - q_k`` (shortest periodic image), ``Δp = p_i - p_k`` and ``dt/2``.

    As the paper writes it, the network sees components: neither the total momentum nor
    rotations are respected. With ``equivariant=True`` the force of a pair is
    ``a Δq/|Δq| + b Δp``, where a and b are networks of invariants: of the distance, of the
    components of Δp along and across Δq, and of the distances after free flights of
    ±dt/2 and ±dt. Then the forces are antisymmetric and turn with the sample (by
    the symmetries of the box, which are all that a periodic sample has).

    Added to the paper: lengths and momenta are divided by σ and √ε, forces are in units of
    ``2 √ε / dt``, and training starts from no force at all. The equivariant forces decay
    like ``r^-6`` or faster beyond 2σ.

    Parameters
    ----------
    width, depth : int, default 64 and 2
        Hidden layers of each network.
    equivariant : bool, default False
    training : RollOut, optional
    precision : {"double", "single"}, default "double"
        Of the networks when they predict; sums over pairs are always in double precision.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    history_ : dict of lists

    Examples
    --------
    >>> from dlintegrate import CorrectedIntegrator, LennardJones2D, PairwiseForce, RollOut
    >>> from dlintegrate import VelocityVerlet
    >>> system = LennardJones2D(n_particles=5, density=0.2)
    >>> corrector = PairwiseForce(width=8, equivariant=True, training=RollOut(epochs=2))
    >>> integrator = CorrectedIntegrator(VelocityVerlet(system, 0.1), corrector, random_state=0)
    >>> integrator = integrator.fit(system.random_states(20, random_state=0))
    >>> "momentum" in integrator.guarantees
    True
    """

    def __init__(self, width=64, depth=2, equivariant=False, training=None, precision="double"):
        self.width = width
        self.depth = depth
        self.equivariant = equivariant
        self.training = training
        self.precision = precision

    def _force(self, law, dt):
        from ._force_modules import EquivariantPairNet, PairNet

        net = EquivariantPairNet if self.equivariant else PairNet
        return net(law, dt, self.width, self.depth)
