"""The kernel polynomial method: functions of the electron Hamiltonian as Chebyshev series."""

import itertools
import numbers

import numpy as np
from joblib import Parallel, delayed

from .._checks import check_count
from .electrons import ElectronSolver, check_sites

#: Fewer colours than these have torque errors of the order of the torque.
_FEWEST_COLOURS = 36
#: Sites that are probed in one task.
_TASK_SITES = 128


class KernelPolynomial(ElectronSolver):
    """Chebyshev series of the Fermi function.

    ``"deterministic"``: one probe for each site and spin. The only errors are the
    truncation of the series, which falls exponentially once the number of moments exceeds
    about 1.4 times half the band width over temperature, and single precision. The work grows with
    the square of the number of sites, and labels of some sites cost in proportion.

    ``"probing"``: the grand potential is estimated from random probes, each on all sites
    of one colour and one spin, and the field is the exact gradient of the estimate (Wang
    and others, J. Chem. Phys. 148, 094107 (2018)), so the two are consistent: motion in
    that field conserves that energy. Against the deterministic method the work is three
    times the number of colours over the number of sites, so it pays on large lattices,
    from about 48 × 48; on 24 × 24 it saves nothing worth its noise. All sites are solved
    for even if only some are wanted.

    Parameters
    ----------
    n_moments : int, optional
        Even. By default as many as :meth:`suggest_moments` gives for ``tol``; needed with the
        Jackson kernel.
    kernel : {"none", "jackson"}, default "none"
        The Jackson kernel damps the oscillations of a truncated series at a step; at
        the temperatures used here there is no step, and it only smears: the error falls with
        the square of the number of moments and not exponentially, so ``tol`` does not hold.
    tol : float, default 1e-5
        Error of the Fermi function that the default number of moments allows.
    n_twists : {1, 2}, default 1
        Periodic, or the average over periodic and antiperiodic boundaries of both sides
        (see :class:`ExactDiagonalization`).
    method : {"deterministic", "probing"}, default "deterministic"
    n_colors : int, optional
        Of ``"probing"``: the square of a common divisor c of the sides. Sites of equal
        colour are c apart; there are two probes for each colour, one for each spin. By
        default c is the largest divisor up to 12.
    random_state : int or None, default 0
        Of the phases of the probes. With an int, a given state always has the same
        result; with None, every call draws new phases, so that errors average out over
        a run instead of adding up.
    n_jobs : int, optional
        Threads, as in joblib, over samples, twists and probes; the result does not
        depend on it.
    device : {None, "cpu", "cuda", "auto"}, default None
        None is the compiled code for processors. A device solves the deterministic
        method with torch, in batches of samples and probes of bounded memory, to the
        same single precision; it is meant for GPUs.
    """

    def __init__(
        self, n_moments=None, kernel="none", tol=1e-5, n_twists=1, method="deterministic",
        n_colors=None, random_state=0, n_jobs=None, device=None,
    ):  # fmt: skip
        self.n_moments = n_moments
        self.kernel = kernel
        self.tol = tol
        self.n_twists = n_twists
        self.method = method
        self.n_colors = n_colors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device

    def moments_for(self, model):
        """The even number of moments in use."""
        if self.n_moments is None:
            if self.kernel != "none":
                raise ValueError(
                    f"kernel={self.kernel!r} smears more than tol={self.tol!r} allows; choose "
                    "n_moments"
                )
            return self.suggest_moments(model, self.tol)
        n = check_count("n_moments", self.n_moments, 4)
        if n % 2:
            raise ValueError(f"n_moments={n}: expected an even number")
        return n

    @staticmethod
    def suggest_moments(model, tol):
        """Fewest moments whose truncated Fermi function is within ``tol`` everywhere.

        Parameters
        ----------
        model : TriangularSDModel
        tol : float
            Between 1e-10 and 1.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            For another ``tol``.
        """
        if not isinstance(tol, numbers.Real) or not 1e-10 <= tol < 1:
            raise ValueError(f"tol={tol!r}: expected a number between 1e-10 and 1")
        model.check()
        most = 16
        while True:
            tail = np.abs(_series(model, most)[0])
            error = tail[::-1].cumsum()[::-1]
            if error[most // 2] < tol:
                break
            most *= 2
        n = int(np.argmax(error < tol))
        return max(4, n + n % 2)

    def coefficients(self, model):
        """Chebyshev series of the Fermi function and of ``-T ln(1 + e^{-(ε-μ)/T})``."""
        if self.kernel not in ("none", "jackson"):
            raise ValueError(f"kernel={self.kernel!r}: expected 'none' or 'jackson'")
        n = self.moments_for(model)
        series = _series(model, n)
        if self.kernel == "jackson":
            m, last = np.arange(n), np.pi / (n + 1)
            series = series * (
                ((n - m + 1) * np.cos(m * last) + np.sin(m * last) / np.tan(last)) / (n + 1)
            )
        return series

    def solve(self, model, spins, sites=None):
        """See :meth:`ElectronSolver.solve`."""
        methods = {"deterministic": self._blocks, "probing": self._gradients}
        if self.method not in methods:
            raise ValueError(f"method={self.method!r}: expected 'deterministic' or 'probing'")
        wanted = check_sites(sites, model.n_sites)
        neighbours, hopping = model.neighbours()
        half_width = model.spectrum[1]
        hops = [-sign * hopping / half_width for sign in self._boundaries(model)]
        onsite = _rescaled(model, spins)
        blocks, omega = methods[self.method](model, onsite, neighbours, hops, wanted)
        known = sites is None or self.method == "probing"
        return blocks, omega if known else np.full(len(spins), np.nan)

    def _blocks(self, model, onsite, neighbours, hops, wanted):
        """By one probe for each site and spin."""
        series = self.coefficients(model)
        if self.device is not None:
            return self._blocks_on_device(onsite, neighbours, hops, wanted, series)
        pieces = range(0, len(wanted), _TASK_SITES)
        tasks = itertools.product(onsite, [np.float32(t) for t in hops], pieces)
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_probe_sites)(
                state, neighbours, t, wanted[first : first + _TASK_SITES], series
            )
            for state, t, first in tasks
        )  # fmt: skip
        joined = np.concatenate(parts, axis=1)
        means = joined.reshape(2, len(onsite), len(hops), len(wanted), 4).mean(axis=2)
        return means[0], means[1, ..., :2].sum(axis=(1, 2))

    def _blocks_on_device(self, onsite, neighbours, hops, wanted, series):
        """The same with torch."""
        from .._device import resolve_device
        from .._kernels.chebyshev_torch import onsite_blocks

        device = resolve_device(self.device)
        means = sum(onsite_blocks(onsite, neighbours, t, wanted, series, device) for t in hops)
        means = means / len(hops)
        return means[:, 0], means[:, 1, :, :2].sum(axis=(1, 2))

    def _gradients(self, model, onsite, neighbours, hops, wanted):
        """By the gradient of the grand potential of coloured probes."""
        from .._kernels.chebyshev import SITES
        from .._kernels.chebyshev_gradient import folded

        if self.device is not None:
            raise ValueError(
                f"device={self.device!r}: method='probing' runs on processors only; leave device "
                "at None, or use method='deterministic'"
            )
        colours, n_colours = _colours(model.lattice_shape, self.n_colors)
        rng = np.random.default_rng(self.random_state)
        quarters = rng.integers(4, size=(len(hops), len(colours)))
        # of all phases, multiples of 90° have the smallest noise there is, and are exact
        phases = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)[quarters]
        products = [np.float32(p) for p in folded(self.coefficients(model)[1])]
        boundaries = [(np.float32(t), phase) for t, phase in zip(hops, phases, strict=True)]
        tasks = itertools.product(onsite, boundaries, range(0, n_colours, SITES))
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_probe_colours)(state, neighbours, t, colours, phase, first, products)
            for state, (t, phase), first in tasks
        )
        gradient, omega = (np.array(part) for part in zip(*parts, strict=True))
        shape = (len(onsite), len(hops), -(-n_colours // SITES))
        blocks = gradient.reshape(*shape, -1, 4).sum(axis=2).mean(axis=1)
        return blocks[:, wanted] / model.spectrum[1], omega.reshape(shape).sum(axis=2).mean(axis=1)

    def _boundaries(self, model):
        """Signs of the hops of each site, for periodic and antiperiodic boundaries."""
        n_twists = check_count("n_twists", self.n_twists, 1)
        if n_twists > 2:
            raise ValueError(
                f"n_twists={n_twists}: KernelPolynomial has real hops, so 1 or 2; for more, use "
                "ExactDiagonalization"
            )
        wraps = model.wraps()
        kinds = itertools.product(range(n_twists), repeat=2)
        return [np.where((wraps @ kind) % 2, -1.0, 1.0) for kind in kinds]


def _rescaled(model, spins):
    """On-site energy and exchange for a spectrum in [-1, 1], (n_samples, n_sites, 4)."""
    centre, half_width = model.spectrum
    onsite = np.empty((len(spins), model.n_sites, 4), np.float32)
    onsite[..., 0] = -centre / half_width
    onsite[..., 1:] = -model.exchange / half_width * spins.reshape(len(spins), -1, 3)
    return onsite


def _probe_sites(onsite, neighbours, hopping, sites, series):
    from .._kernels.chebyshev import onsite_blocks

    out = np.empty((2, len(sites), 4))
    onsite_blocks(onsite, neighbours, hopping, sites, series, out)
    return out


def _probe_colours(onsite, neighbours, hopping, colours, phases, first, products):
    from .._kernels.chebyshev_gradient import probed_gradient

    out = np.empty((len(onsite), 4))
    energy = probed_gradient(
        onsite, neighbours, hopping, colours, phases, first, *products, out
    )  # fmt: skip
    return out, energy


def _colours(sides, n_colors):
    """A colour for each site, the same c sites further along either side; and their number."""
    divisors = [c for c in range(1, min(sides) + 1) if not any(side % c for side in sides)]
    if n_colors is None:
        n_colors = max(c for c in divisors if c <= 12) ** 2
        if n_colors < _FEWEST_COLOURS:
            raise ValueError(
                f"n_colors=None: the sides {sides} have no common divisor from 6 to 12, and fewer "
                "colours are mostly noise; give n_colors, or take multiples of 12"
            )
    if isinstance(n_colors, bool) or n_colors not in [c**2 for c in divisors]:
        raise ValueError(
            f"n_colors={n_colors!r}: expected the square of a common divisor of the sides {sides}: "
            f"one of {', '.join(str(c**2) for c in divisors)}"
        )
    c = int(n_colors**0.5 + 0.5)
    x, y = (index.ravel() for index in np.indices(sides))
    return x % c * c + y % c, c**2


def _series(model, n_moments):
    """Chebyshev coefficients of the two functions, shape (2, n_moments)."""
    centre, half_width = model.spectrum
    n_points = max(4096, 8 * n_moments)
    angle = 2 * np.pi * np.arange(n_points) / n_points
    x = (half_width * np.cos(angle) + centre - model.mu) / model.temperature
    values = np.stack([0.5 * (1 - np.tanh(0.5 * x)), -model.temperature * np.logaddexp(0.0, -x)])
    series = 2 / n_points * np.fft.rfft(values).real[:, :n_moments]
    series[:, 0] *= 0.5
    return series
