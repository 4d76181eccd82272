"""Markov chains of the Heisenberg lattice."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .._checks import check_count
from .._kernels import monte_carlo as moves
from .._kernels.heisenberg import cubic_sides, energy
from .._kernels.random import stream
from .ladder import CRITICAL_TEMPERATURE, annealing_ladder

METHODS = ("heat_bath", "metropolis")
STARTS = ("auto", "ordered", "random")
#: Width of the cap of Metropolis trials in units of T over the largest local
#: field: 0.35 to 0.65 of the trials are accepted up to the critical temperature.
TRIAL_WIDTH = 5.0


@dataclass(frozen=True)
class SpinChain:
    """One chain from its start to one equilibrium sample, for any temperature.

    Built by :meth:`of`, which validates.
    """

    sides: tuple
    coupling: float
    bias: np.ndarray
    max_field: float
    method: str
    n_sweeps: int | None
    n_over_relaxation: int
    start: str
    given: np.ndarray | None = field(default=None, repr=False)

    #: Chains that run side by side.
    n_together: ClassVar[int] = 1
    #: Starts that lie on either side of equilibrium.
    opposite_starts: ClassVar[tuple] = ("ordered", "random")

    @classmethod
    def of(cls, system, *, method=None, n_sweeps=None, n_over_relaxation=None, start="auto"):
        """Check the options against a HeisenbergLattice.

        Raises
        ------
        ValueError
            With the parameter, its value and what is valid.
        """
        method = METHODS[0] if method is None else method
        n_over_relaxation = 4 if n_over_relaxation is None else n_over_relaxation
        if method not in METHODS:
            raise ValueError(f"method={method!r}: expected one of {METHODS}")
        if n_sweeps is not None:
            n_sweeps = check_count("n_sweeps", n_sweeps, 1)
        given = None
        if not isinstance(start, str):
            given, start = system.validate(_with_samples(start, system), "start"), "given"
        elif start not in STARTS:
            raise ValueError(f"start={start!r}: expected one of {STARTS} or an array of spins")
        return cls(
            system.lattice_shape, system.coupling, system.bias, system.max_field, method, n_sweeps,
            check_count("n_over_relaxation", n_over_relaxation, 0), start, given,
        )  # fmt: skip

    @property
    def state_shape(self):
        """Shape of one sample."""
        return (*self.sides, 3)

    @property
    def n_sites(self):
        """Number of spins."""
        return int(np.prod(self.sides))

    @property
    def n_given(self):
        """Number of start states that were handed in."""
        return 0 if self.given is None else len(self.given)

    @property
    def parameters(self):
        """What a reader of the samples should know, ready for JSON."""
        return {
            "method": self.method,
            "n_sweeps": "default" if self.n_sweeps is None else self.n_sweeps,
            "n_over_relaxation": self.n_over_relaxation,
            "start": self.start,
        }

    def coords(self, n_samples):
        """Coordinates of the samples beside the temperature: none."""
        return {}

    def draw_batch(self, temperatures, seeds, first=0):
        """As :meth:`draw`, one chain for each temperature and seed."""
        chains = zip(temperatures.tolist(), seeds, strict=True)
        return np.stack([self.draw(t, seed, i) for i, (t, seed) in enumerate(chains, start=first)])

    def draw(self, temperature, seed, index=0):
        """Run a chain and return its last state.

        Parameters
        ----------
        temperature : float
        seed : numpy.random.SeedSequence
        index : int
            Which of the given start states to take, if there are several.

        Returns
        -------
        ndarray, shape (*sides, 3)
        """
        numbers_ = stream(seed)
        lattice = self.begin(self.start_at(temperature), index, numbers_)
        n_sweeps = self.sweeps_at(temperature)
        for rung in self.rungs_above(temperature):
            self.run(lattice, rung, max(1, n_sweeps // 10), numbers_)
        self.run(lattice, temperature, n_sweeps, numbers_)
        moves.rotate_all(lattice, temperature, self.bias, numbers_)
        return lattice.reshape(self.state_shape)

    def start_at(self, temperature):
        """Which start ``"auto"`` means at a temperature."""
        if self.start != "auto":
            return self.start
        # the ordered phase of the cubic lattice; in fewer dimensions, where a
        # random start is left with long twists
        cold = temperature < CRITICAL_TEMPERATURE * len(self.sides) / 3 * abs(self.coupling)
        bipartite = self.coupling > 0 or all(side % 2 == 0 for side in self.sides)
        return "ordered" if cold and bipartite and self.method == "heat_bath" else "random"

    def begin(self, start, index, numbers_):
        """First state, as a lattice of three axes."""
        lattice = np.empty((*cubic_sides(self.sides), 3))
        if start == "given":
            lattice[:] = self.given[min(index, len(self.given) - 1)].reshape(lattice.shape)
        elif start == "ordered":
            moves.order(lattice, -1.0 if self.coupling < 0 else 1.0)
        else:
            moves.draw_random(lattice, numbers_)
        return lattice

    def rungs_above(self, temperature):
        """Temperatures that the chain visits on its way down: none but in annealing."""
        if self.method == "heat_bath" or self.start_at(temperature) != "random":
            return []
        return annealing_ladder(temperature, scale=abs(self.coupling) or 1.0)[:-1].tolist()

    def sweeps_at(self, temperature):
        """Number of sweeps at one temperature.

        Over-relaxation carries changes through the lattice in a number of
        sweeps that grows with the longest side, or with the correlation length
        of a chain, about J/T; without it they diffuse.
        """
        if self.n_sweeps is not None:
            return self.n_sweeps
        length = max(self.sides)
        if len(self.sides) == 1:
            length = min(length, int(3 + 3 * abs(self.coupling) / temperature))
        if self.method == "heat_bath" and self.n_over_relaxation >= 2:
            return 30 + 6 * length
        return 100 + (4 if self.method == "heat_bath" else 8) * length**2

    def trial_width(self, temperature):
        """Largest 1 - cos of the angle of a Metropolis trial."""
        return min(2.0, TRIAL_WIDTH * temperature / max(self.max_field, 1e-300))

    def run(self, lattice, temperature, n_sweeps, numbers_):
        """Run sweeps in place, without the final rotation of the whole lattice."""
        if self.method == "heat_bath":
            moves.heat_bath(
                lattice, temperature, n_sweeps, self.n_over_relaxation,
                self.coupling, self.bias, numbers_,
            )  # fmt: skip
        else:
            moves.metropolis(
                lattice, temperature, n_sweeps, self.trial_width(temperature),
                self.coupling, self.bias, numbers_,
            )  # fmt: skip

    def traces(self, start, temperature, n_sweeps, seeds):
        """As :meth:`trace`, one chain for each seed: ``(n_chains, 2, n_sweeps + 1)``."""
        return np.stack([self.trace(start, temperature, n_sweeps, seed) for seed in seeds])

    def trace(self, start, temperature, n_sweeps, seed):
        """Energy and \\|M\\| (staggered for J < 0) after every sweep, ``(2, n_sweeps + 1)``."""
        numbers_ = stream(seed)
        lattice = self.begin(start, 0, numbers_)
        pattern = np.empty_like(lattice)
        moves.order(pattern, -1.0 if self.coupling < 0 else 1.0)
        out = np.empty((2, n_sweeps + 1))
        for k in range(n_sweeps + 1):
            if k > 0:
                self.run(lattice, temperature, 1, numbers_)
            out[0, k] = energy(lattice[None], self.coupling, self.bias)[0]
            out[1, k] = np.linalg.norm(np.einsum("xyzc,xyz->c", lattice, pattern[..., 2]))
        return out


def _with_samples(start, system):
    """Give a single state its sample axis."""
    if getattr(start, "dims", None) == system.state_dims:
        return start.expand_dims("sample")
    if np.ndim(start) == len(system.state_dims) and "sample" not in getattr(start, "dims", ()):
        return np.asarray(start)[None]
    return start
