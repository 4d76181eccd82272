"""CombinedForce: pairwise and many-body networks in learned proportions."""

import numpy as np

from .many_body import many_body_net
from .network_force import NetworkForce, check_positive


class CombinedForce(NetworkForce):
    """``Γ mb-net + (1 - Γ) pw-net`` ((PW+MB)-NN, Park 2022, Eqs 5.13-5.14).

    The forces of :class:`PairwiseForce` and :class:`ManyBodyForce`, whose parameters these
    are; Γ1 before the drift and Γ2 after it are sigmoids of learned numbers and start at ½.

    Parameters
    ----------
    width, depth, equivariant, grid_radius, clip, reach, training, precision :
        See :class:`ManyBodyForce`. Width and depth are those of both networks.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    history_ : dict of lists
    gammas_ : tuple of 2 floats
        Γ1 and Γ2.
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

    @property
    def gammas_(self):
        """Γ1 and Γ2, the shares of the many-body force."""
        self._check_fitted()
        learned = (self.weights_[f"{place}.weight"] for place in ("before", "after"))
        return tuple(1.0 / (1.0 + np.exp(-w.item())) for w in learned)

    def _check_parameters(self):
        super()._check_parameters()
        check_positive(self, "grid_radius", "clip", "reach")

    def _force(self, law, dt):
        from ._force_modules import EquivariantPairNet, Mixture, PairNet

        pairwise = EquivariantPairNet if self.equivariant else PairNet
        return Mixture(pairwise(law, dt, self.width, self.depth), many_body_net(self, law, dt))
