"""A short series for the electrons around each site, and a network for what it misses."""

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from .._checks import check_count
from .._device import resolve_device
from ..states import perpendicular
from .field import FieldCorrector

_FIRST = 3  #: The moments before it have nothing across the spin.
_ELECTRONS = ("t1", "t3", "exchange", "mu", "temperature")


class SeriesTorque(FieldCorrector):
    """Field from few moments of the electrons close to a site, with fitted coefficients.

    The field of the s-d model is a Fermi function of the electrons' Hamiltonian, taken at a
    site. :class:`~dlintegrate.KernelPolynomial` expands it in hundreds of Chebyshev polynomials
    on the whole lattice. Here are the first few of them, on the cluster of sites within
    ``reach`` bonds of each site, and their coefficients are those that fit the labels best,
    instead of those of an infinite series. What they miss a ``network`` can learn.

    Equivariant under O(3) and D6, and local: the cost of a site does not depend on the lattice.
    Fitted to one Hamiltonian, it refuses others.

    Parameters
    ----------
    n_moments : int, default 16
        Even. The cost grows with their number.
    reach : int, default 9
        Radius of a cluster in bonds; the cost grows with its square.
    network : FieldCorrector, optional
        Learns the part of the labels that the series leaves.

    Attributes
    ----------
    coefficients_ : ndarray, shape (n_moments - 3,)
        Of the moments from the third on.
    scales_ : tuple of 4 floats
        Elements of the rescaled Hamiltonian: on-site energy, exchange with the spin, hopping to
        near and far sites.
    electrons_ : dict of str to float
        Parameters of the model that made the labels.
    network_ : FieldCorrector or None
        Fitted.
    history_ : dict of lists
        Of the network; without one, ``loss`` is the share of the squares that is left.

    Examples
    --------
    >>> from dlintegrate import CorrectedIntegrator, SemiImplicitB, SeriesTorque, TriangularSDModel
    >>> base = SemiImplicitB(TriangularSDModel(shape=(12, 12)), dt=0.5, damping=0.1)
    >>> learned = CorrectedIntegrator(base, SeriesTorque(n_moments=8, reach=4))
    >>> learned = learned.fit(base.system.random_states(2, random_state=0))
    >>> learned.corrector_.coefficients_.shape
    (5,)
    """

    precision = "single"
    training = None

    def __init__(self, n_moments=16, reach=9, network=None):
        self.n_moments = n_moments
        self.reach = reach
        self.network = network

    @property
    def field_symmetries(self):
        """Both, or those of the network."""
        both = frozenset({"rotation", "lattice"})
        return both if self.network is None else both & self.network.field_symmetries

    @property
    def batch_tolerance(self):
        """That of the network; the series is the same in any batch."""
        return 0.0 if self.network is None else self.network.batch_tolerance

    def _build(self):
        raise NotImplementedError("a series is no module")

    def _check_parameters(self):
        check_count("n_moments", self.n_moments, _FIRST + 1)
        if self.n_moments % 2:
            raise ValueError(f"n_moments={self.n_moments}: expected an even number")
        check_count("reach", self.reach, 2)
        if self.network is not None and not isinstance(self.network, FieldCorrector):
            raise TypeError(f"network={self.network!r}: expected a FieldCorrector or None")

    def check(self, base):
        """Also that the system has electrons; see :meth:`FieldCorrector.check`."""
        super().check(base)
        if not all(hasattr(base.system, name) for name in (*_ELECTRONS, "spectrum")):
            raise TypeError(
                f"SeriesTorque needs the electrons of a TriangularSDModel; got {base!r}"
            )
        if self.network is not None:
            self.network.check(base)

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Fit the coefficients, then the network; see :meth:`FieldCorrector.fit`."""
        self.check(base)
        system = base.system.matching(X)
        self.electrons_ = {name: float(getattr(system, name)) for name in _ELECTRONS}
        self.scales_, self.device_ = _scales(system), str(resolve_device(device))
        self.network_ = None
        torque = perpendicular(Y - system.bias, X)
        total = float((torque**2).sum())
        if not total > 1e-24 * float((Y**2).sum()):
            raise ValueError("the fields are all along the spins: there is no torque to learn")
        size = self.n_moments - _FIRST
        products, sides = np.zeros((size, size)), np.zeros(size)
        for k in range(len(X)):
            columns = self._columns(X[k]).reshape(-1, size)
            products += columns.T @ columns
            sides += torque[k].reshape(-1) @ columns
        self.coefficients_ = np.linalg.lstsq(products, sides, rcond=1e-12)[0]
        self.history_ = {"loss": [1.0 - float(sides @ self.coefficients_) / total]}
        if self.network is not None:
            left = torque - self._series(X)
            self.network_ = clone(self.network).fit(
                base, X, left + system.bias, device=device, random_state=random_state,
                progress=progress,
            )  # fmt: skip
            self.history_ = self.network_.history_
        return self

    def state_dict(self):
        """Of the network; see :meth:`FieldCorrector.state_dict`.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError
            Without a network.
        """
        self._check_fitted()
        if self.network_ is None:
            raise TypeError(f"{self!r} has no network that training could go on from")
        return self.network_.state_dict()

    def stand_in(self, model):
        """The learned field as a system, in place of ``model``.

        Parameters
        ----------
        model : TriangularSDModel

        Returns
        -------
        SpinSystem

        Raises
        ------
        ValueError
            If the electrons of the model are not those of the labels.
        """
        self._check_fitted()
        for name, fitted in self.electrons_.items():
            value = float(getattr(model, name))
            if value != fitted:
                raise ValueError(
                    f"{name}={value}: this SeriesTorque was fitted to {name}={fitted}; fit it again"
                )
        return super().stand_in(model)

    def field(self, array):
        """Learned field perpendicular to the spins; see :meth:`FieldCorrector.field`."""
        self._check_fitted()
        if self._prediction_device().type != "cpu":
            return super().field(array)
        series = self._series(array)
        return series if self.network_ is None else series + self.network_.field(array)

    def field_tensor(self, spins):
        """Torch twin of :meth:`field`: differentiable, on the tensor's device."""
        from .._kernels.cluster_moments_torch import lattice_moments

        self._check_fitted()
        weights = spins.new_tensor(self.coefficients_)
        moments = lattice_moments(spins, self.scales_, self.n_moments, self.reach)
        series = perpendicular(moments[..., _FIRST:] @ weights, spins)
        return series if self.network_ is None else series + self.network_.field_tensor(spins)

    def _series(self, array):
        """The series alone."""
        return np.stack([self._columns(spins) @ self.coefficients_ for spins in array])

    def _columns(self, spins):
        """Moments of one sample across its spins, (X, Y, 3, n_moments - 3)."""
        from .._kernels.cluster_moments import lattice_moments

        moments = lattice_moments(spins, self.scales_, self.n_moments, self.reach)
        columns = np.moveaxis(moments[:, _FIRST:, 1:], (1, 2), (3, 2)).astype(np.float64)
        return columns - np.einsum("xyck,xyc,xyd->xydk", columns, spins, spins)

    def _check_fitted(self):
        if not hasattr(self, "coefficients_"):
            raise NotFittedError("this SeriesTorque is not fitted; call fit first")


def _scales(model):
    """Elements of the rescaled Hamiltonian."""
    centre, half_width = model.spectrum
    elements = (-centre, -model.exchange, -model.t1, -model.t3)
    return tuple(float(element / half_width) for element in elements)
