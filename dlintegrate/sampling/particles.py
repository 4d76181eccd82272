"""Markov chains of the Lennard-Jones fluid."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import xarray as xr

from .._checks import check_count
from .._kernels import particle_moves as moves
from .spins import _with_samples

METHODS = ("metropolis",)
STARTS = ("auto", "lattice", "random")
#: Up to here chains run side by side in SIMD lanes; larger ones alone, with cells.
FEW = 200
#: Below this temperature, in ε, particles condense: chains start from a droplet.
CONDENSED = 0.45
#: Lattice constant of the droplet in σ: nearest neighbours at the minimum of the potential.
SPACING = 2.0 ** (1.0 / 6.0)
#: Sweeps of 16 particles at the temperature (in ε) of the coldest reference states: more
#: than ten autocorrelation times of the energy. Below it they grow as single bonds break,
#: exp(BOND ε/T); with the number of particles as measured up to 256.
N_SWEEPS, COLD, BOND, LARGE = 1000, 0.27, 0.8, 256
#: First width of local trials in σ, and the share of the burn-in between adaptations.
WIDTH, N_TUNINGS = 0.3, 50


@dataclass(frozen=True)
class ParticleChain:
    """Chains from their start to one equilibrium sample each, for any temperature.

    Metropolis (Park 2022, section 5.1.1): in every sweep each particle makes one trial in a
    square about its place, whose width is tuned in the first half of the sweeps to accept
    40 %, and one trial anywhere in the box. Without the latter, condensed states at low
    temperature exchange no particles with their gas and do not equilibrate.

    Built by :meth:`of`, which validates.
    """

    system: object
    n_sweeps: int | None
    start: str
    given: np.ndarray | None = field(default=None, repr=False)

    method: ClassVar[str] = "metropolis"
    #: Starts that lie on either side of equilibrium.
    opposite_starts: ClassVar[tuple] = ("lattice", "random")

    @classmethod
    def of(cls, system, *, method=None, n_sweeps=None, n_over_relaxation=None, start="auto"):
        """Check the options against a LennardJones2D.

        Raises
        ------
        ValueError
            With the parameter, its value and what is valid.
        """
        if method not in (None, *METHODS):
            raise ValueError(
                f"method={method!r}: expected one of {METHODS} for {type(system).__name__}; "
                "the heat bath is for spins"
            )
        if n_over_relaxation is not None:
            raise ValueError(
                f"n_over_relaxation={n_over_relaxation!r}: only spins have over-relaxation; "
                "leave it out"
            )
        if n_sweeps is not None:
            n_sweeps = check_count("n_sweeps", n_sweeps, 1)
        if isinstance(start, str) and start not in STARTS:
            raise ValueError(f"start={start!r}: expected one of {STARTS} or an array of states")
        droplet = np.zeros((1, 2, system.n_sites, 2))
        droplet[0, 0] = triangular_droplet(system.n_sites, system.box_length, system.sigma)
        system.validate(droplet, "start")  # checks all parameters, the cut-off among them
        given = None
        if not isinstance(start, str):
            given, start = _given_places(start, system), "given"
        return cls(system, n_sweeps, start, given)

    @property
    def state_shape(self):
        """Shape of one sample."""
        return (2, self.n_sites, 2)

    @property
    def n_sites(self):
        """Number of particles."""
        return self.system.n_sites

    @property
    def n_given(self):
        """Number of start states that were handed in."""
        return 0 if self.given is None else len(self.given)

    @property
    def n_together(self):
        """Number of chains that run side by side."""
        return moves.LANES if self.n_sites <= FEW else 1

    @property
    def parameters(self):
        """What a reader of the samples should know, ready for JSON."""
        return {
            "method": self.method,
            "n_sweeps": "default" if self.n_sweeps is None else self.n_sweeps,
            "start": self.start,
        }

    def coords(self, n_samples):
        """Coordinates of the samples beside the temperature."""
        side = self.system.box_length
        return {
            "box_length": (
                "sample", np.full(n_samples, side), {"units": "1", "long_name": "side of the box"},
            ),
            "density": (
                "sample", np.full(n_samples, float(self.system.density)),
                {"units": "1", "long_name": "particles per area"},
            ),
            **self.system.state_coords,
        }  # fmt: skip

    # Drawing -----------------------------------------------------------------------------

    def draw(self, temperature, seed, index=0):
        """Run one chain; see :meth:`draw_batch`."""
        return self.draw_batch(np.array([temperature]), [seed], index)[0]

    def draw_batch(self, temperatures, seeds, first=0):
        """Run chains side by side and return the last state of each.

        Parameters
        ----------
        temperatures : ndarray, shape (n_chains,)
        seeds : list of numpy.random.SeedSequence
            A chain depends on its own seed and temperature alone.
        first : int
            Which of the given start states the first chain takes, if there are several.

        Returns
        -------
        ndarray, shape (n_chains, 2, n_particles, 2)
            Positions between 0 and the side of the box; momenta of total zero.
        """
        temperatures = np.asarray(temperatures, dtype=np.float64)
        streams, generators = zip(*map(_streams, seeds), strict=True)
        streams, places = np.array(streams), self._begin_all(temperatures, generators, first)
        sweeps = np.array([self.sweeps_at(t) for t in temperatures.tolist()])
        for n_sweeps in np.unique(sweeps):
            index = np.flatnonzero(sweeps == n_sweeps)
            part, numbers = places[index], streams[index]
            self.equilibrate(part, temperatures[index], numbers, int(n_sweeps))
            places[index] = part
        side = self.system.box_length
        states = np.empty((len(places), *self.state_shape))
        states[:, 0] = np.mod(places, side)
        states[:, 0][states[:, 0] >= side] = 0.0  # the remainder of -1e-17 is rounded up
        for state, temperature, generator in zip(states, temperatures, generators, strict=True):
            state[1] = draw_momenta(temperature, self.n_sites, generator)
        return states

    def start_at(self, temperature):
        """Which start ``"auto"`` means at a temperature."""
        if self.start != "auto":
            return self.start
        return "lattice" if temperature < CONDENSED * self.system.epsilon else "random"

    def sweeps_at(self, temperature):
        """Number of sweeps at a temperature."""
        if self.n_sweeps is not None:
            return self.n_sweeps
        inverse = self.system.epsilon / temperature
        cold = np.exp(min(BOND * (inverse - 1.0 / COLD), 20.0))
        size = min(self.n_sites, LARGE) / 16
        power = 1.5 if inverse > 2.0 else 0.5  # droplets, or a gas with a finite range
        return int(np.ceil(N_SWEEPS * max(0.5, cold) * max(1.0, size) ** power))

    def begin(self, start, index, generator):
        """First positions of one chain, shape (n_particles, 2)."""
        if start == "given":
            return self.given[min(index, len(self.given) - 1)]
        side = self.system.box_length
        if start == "lattice":
            return triangular_droplet(self.n_sites, side, self.system.sigma)
        return side * generator.random((self.n_sites, 2))

    def _begin_all(self, temperatures, generators, first):
        """First positions of all chains, shape (n_chains, n_particles, 2)."""
        starts = zip(map(self.start_at, temperatures.tolist()), generators, strict=True)
        return np.array([self.begin(s, i, g) for i, (s, g) in enumerate(starts, start=first)])

    def equilibrate(self, places, temperatures, streams, n_sweeps):
        """Run chains in place: the first half of the sweeps tunes, the second does not.

        Returns
        -------
        widths, accepted : ndarray
            Widths of local trials (n_chains,), and accepted fractions of local trials and
            of jumps in the second half, (2, n_chains).
        """
        widths = np.full(len(places), WIDTH * self.system.sigma)
        burn_in = n_sweeps // 2
        self.run(places, temperatures, burn_in, streams, widths, max(1, burn_in // N_TUNINGS))
        return widths, self.run(places, temperatures, n_sweeps - burn_in, streams, widths)

    def run(self, places, temperatures, n_sweeps, streams, widths, tune=0):
        """Run sweeps in place; adapt ``widths`` every ``tune`` of them.

        Returns
        -------
        ndarray, shape (2, n_chains)
            Accepted fractions of local trials and of jumps.
        """
        accepted = np.zeros((2, len(places)))
        box = np.full(len(places), self.system.box_length)
        kernel = moves.run_small if self.n_together > 1 else moves.run_large
        floor = moves.CLOSE * self.system.sigma**2
        kernel(
            places, box, temperatures, self.system.law, floor, streams, widths, n_sweeps, tune,
            accepted,
        )  # fmt: skip
        return accepted

    # Following ---------------------------------------------------------------------------

    def follow(self, places, temperature, streams, widths, n_records, every):
        """Potential energy, virial pressure and longest waves along chains of one temperature.

        Parameters
        ----------
        places, streams, widths : ndarray
            Of the chains; places and streams are advanced.
        temperature : float
        n_records, every : int
            Numbers of records, and of sweeps before each.

        Returns
        -------
        ndarray, shape (3, n_chains, n_records)
            Pressure with the kinetic part ``ρT``; structure factor at the longest waves
            of the box, mean of both axes.
        """
        side, n = self.system.box_length, self.n_sites
        out = np.empty((3, len(places), n_records))
        temperatures, box = np.full(len(places), temperature), np.full(len(places), side)
        states = np.zeros((len(places), *self.state_shape))
        for k in range(n_records):
            self.run(places, temperatures, every, streams, widths)
            states[:, 0] = places
            seen = self.system.observables(self.system.pack(states, {"box_length": box}))
            out[0, :, k] = seen["energy"][1]  # at rest
            out[1, :, k] = seen["pressure"][1] + n * temperature / side**2
            moves.longest_waves(places, box, out[2, :, k])
        return out

    def begin_chains(self, start, seeds, first=0):
        """Positions and streams of chains at their start; ``first`` as for :meth:`draw_batch`."""
        streams, generators = zip(*map(_streams, seeds), strict=True)
        places = [self.begin(start, i, g) for i, g in enumerate(generators, start=first)]
        return np.array(places), np.array(streams)

    def traces(self, start, temperature, n_sweeps, seeds):
        """Energy and longest waves after every sweep, shape (n_chains, 2, n_sweeps + 1).

        The widths of the local trials are tuned beforehand, by chains of their own.
        """
        places, streams = self.begin_chains(start, seeds)
        temperatures = np.full(len(seeds), temperature)
        widths, _ = self.equilibrate(places, temperatures, streams, self.sweeps_at(temperature))
        places, _ = self.begin_chains(start, seeds)
        first = self.follow(places, temperature, streams, widths, 1, 0)
        rest = self.follow(places, temperature, streams, widths, n_sweeps, 1)
        return np.concatenate([first, rest], axis=2)[[0, 2]].swapaxes(0, 1)


def triangular_droplet(n_particles, side, sigma=1.0):
    """Round patch of a triangular lattice in the middle of a periodic square.

    Its lattice constant is that of the minimum of the potential; if the box is too small
    for it, the lattice is squeezed to fill the box.

    Parameters
    ----------
    n_particles : int
    side, sigma : float

    Returns
    -------
    ndarray, shape (n_particles, 2)
    """
    across, up = SPACING * sigma, SPACING * sigma * np.sqrt(0.75)
    columns, lines = int(side / across), 2 * int(side / (2 * up))
    if columns * lines < n_particles:
        columns, lines = _widest_lattice(n_particles)
        across, up = side / columns, side / lines
    line, column = np.divmod(np.arange(columns * lines), columns)
    sites = np.stack([(column + 0.5 * (line % 2)) * across, line * up], axis=1)
    sites -= sites.mean(axis=0)
    # rounded: sites at equal distances come in the order of their numbers
    distance = np.round((sites**2).sum(axis=1) / across**2, 6)
    return sites[np.argsort(distance, kind="stable")[:n_particles]] + 0.5 * side


def _widest_lattice(n_particles):
    """Columns and (even) lines of the triangular lattice that fills a square most openly."""
    lines = np.arange(2, n_particles + 3, 2)
    columns = -(-n_particles // lines)
    # squared distances in units of the side, also to the own image
    apart = np.minimum(columns**-2.0, 0.25 * columns**-2.0 + lines**-2.0)
    best = np.argmax(np.minimum(apart, 4.0 * lines**-2.0))
    return int(columns[best]), int(lines[best])


def draw_momenta(temperature, n_particles, generator):
    """Momenta of the Maxwell-Boltzmann distribution with the total momentum removed.

    Then ``T = 2 K / (2 (n - 1))`` on average (unit masses, two components).

    Parameters
    ----------
    temperature : float
    n_particles : int
    generator : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n_particles, 2)
    """
    momenta = np.sqrt(temperature) * generator.normal(size=(n_particles, 2))
    return momenta - momenta.mean(axis=0)


def _streams(seed):
    """The stream of a chain's moves, and a generator for its start and its momenta."""
    words = seed.generate_state(8, np.uint64)
    return words[:4], np.random.default_rng(words[4:])


def _given_places(start, system):
    """Positions of states handed in, checked; shape (n_given, n_particles, 2)."""
    packed = system.validate(_with_samples(start, system), "start")
    states, coords = system.unpack(packed)
    if isinstance(start, xr.DataArray):
        off = np.abs(coords["box_length"] / system.box_length - 1) > 1e-9
        if off.any():
            raise ValueError(
                f"start has box_length {coords['box_length'][off][0]:.9g} where the system has "
                f"{system.box_length:.9g}; give the states of one density, and a system of it"
            )
    return np.ascontiguousarray(states[:, 0])
