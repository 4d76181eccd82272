"""Magnons and phonons of a crystal: waves frozen into it, and waves in a trajectory."""

import numpy as np
import xarray as xr

from .._kernels.spin_steps import restore_lengths
from .._units import GYROMAGNETIC, HBAR
from ..systems.atoms import POSITION, SPIN, AtomicSystem
from ._trajectories import atoms_of, lost_frames, times_of, warn_lost

#: Positions and directions that agree to this, in Å and 1, are those of one lattice.
_SAME = 1e-4
#: Spins whose mean is a smaller part of their moments than this have no direction.
_ORDER = 0.05


def commensurate_wavevectors(system, start, end):
    """All wave vectors between two points that fit into the cell of a system.

    Parameters
    ----------
    system : AtomicSystem
    start, end : array-like, shape (3,)
        In 1/Å; both have to fit into the cell themselves, as (0, 0, 0) does.

    Returns
    -------
    ndarray, shape (n_wavevectors, 3)
        From start to end, in 1/Å.

    Raises
    ------
    ValueError
        If an end does not fit: the phase ``q·a`` over a cell vector is no multiple of 2π.

    Examples
    --------
    >>> import numpy as np
    >>> from dlintegrate import SpinLatticeCrystal
    >>> from dlintegrate.metrics import commensurate_wavevectors
    >>> iron = SpinLatticeCrystal("bcc", size=4)
    >>> zone_boundary = 2 * np.pi / 2.8665 * np.array([1.0, 0.0, 0.0])
    >>> len(commensurate_wavevectors(iron, (0, 0, 0), zone_boundary))
    5
    """
    ends = np.array([start, end], dtype=np.float64)
    turns = _checked_turns(system, ends)
    n = max(1, int(np.gcd.reduce((turns[1] - turns[0]).astype(int))))
    share = np.linspace(0.0, 1.0, n + 1)[:, None]
    return ends[0] + share * (ends[1] - ends[0])


def magnon_dispersion(system, wavevectors, state=None, *, amplitude=1e-3):
    """Energies of magnons, from the torques on frozen spin waves.

    At fixed positions, spins are tilted by ``amplitude`` in a wave about a state in which no
    torque acts. The linear response of the torques gives the equations of motion of the
    waves, whose frequencies are returned: of any ordered state of any system, learned or exact.

    Parameters
    ----------
    system : AtomicSystem
    wavevectors : array-like, shape (n_wavevectors, 3)
        In 1/Å; they have to fit into the cell, see :func:`commensurate_wavevectors`.
    state : array-like, shape (3, n_atoms, 3), optional
        Positions, momenta (not used) and spins at rest; by default the reference positions
        and all spins along z.
    amplitude : float, default 1e-3
        Tilt of the spins, in radians.

    Returns
    -------
    xarray.Dataset
        ``energy(wavevector, branch)`` in meV and ``frequency`` in THz, rising; ``growth``, the
        largest rate in 1/fs at which a wave grows, 0 for a stable state. As many branches as a
        primitive cell has atoms with moments. The coordinate ``q(wavevector, component)`` holds
        the vectors.

    Raises
    ------
    ValueError
        For wave vectors that do not fit into the cell, or a state in which torques act.
    """
    crystal = _Crystal(system, wavevectors, state)
    magnetic = crystal.subset(system.moments > 0)
    axes = _transverse(crystal.spins, crystal.labels)
    _check_no_torque(system, crystal)

    def tilted(b, k, phase):
        tilt = np.where((crystal.labels == b)[:, None], phase[:, None] * axes[k], 0.0)
        spins = crystal.spins + amplitude * system.moments[:, None] * tilt
        restore_lengths(spins[None], system.moments)
        return crystal.positions, spins

    def velocity(spins, known):
        torque = GYROMAGNETIC * np.cross(spins, known.magnetic_force)
        moments = np.where(system.moments > 0, system.moments, 1.0)[:, None]
        return np.stack([(torque * a).sum(-1) for a in axes], axis=-1) / moments

    matrices = crystal.response(tilted, velocity, magnetic, 2) / amplitude
    values = np.linalg.eigvals(matrices)
    n = len(magnetic)
    rates = np.sort(values.imag, axis=1)[:, n:]
    result = _dispersion(crystal.wavevectors, rates)
    result["growth"] = ("wavevector", values.real.max(axis=1))
    return result


def phonon_dispersion(system, wavevectors, state=None, *, amplitude=1e-3):
    """Energies of phonons, from the forces on frozen displacement waves.

    Spins are fixed. The forces on waves of displacements are the dynamical matrix.

    Parameters
    ----------
    system : AtomicSystem
    wavevectors : array-like, shape (n_wavevectors, 3)
        As for :func:`magnon_dispersion`.
    state : array-like, shape (3, n_atoms, 3), optional
        As for :func:`magnon_dispersion`.
    amplitude : float, default 1e-3
        Largest displacement in Å.

    Returns
    -------
    xarray.Dataset
        ``energy(wavevector, branch)`` in meV and ``frequency`` in THz, rising; negative where the
        square of a frequency is (the crystal is unstable). Three branches for each atom of a
        primitive cell.

    Raises
    ------
    ValueError
        For wave vectors that do not fit into the cell.
    """
    crystal = _Crystal(system, wavevectors, state)
    root = np.sqrt(system.masses)[:, None]

    def displaced(b, k, phase):
        shift = np.zeros_like(crystal.positions)
        shift[:, k] = amplitude * np.where(crystal.labels == b, phase, 0.0)
        return crystal.positions + shift, crystal.spins

    def pull(spins, known):
        return known.force / root

    matrices = -crystal.response(displaced, pull, crystal.subset(), 3) / amplitude
    first = [np.flatnonzero(crystal.labels == b)[0] for b in crystal.subset()]
    matrices = matrices / np.repeat(root[first, 0], 3)[None, None, :]
    matrices = 0.5 * (matrices + matrices.conj().swapaxes(1, 2))
    squares = np.linalg.eigvalsh(matrices)
    return _dispersion(crystal.wavevectors, np.sign(squares) * np.sqrt(np.abs(squares)))


def dynamic_structure_factor(trajectory, system, wavevectors, quantity="spin"):
    """Spectrum of spin or velocity waves in a trajectory.

    ``S(q, ω) = |∫ dt w(t) e^{iωt} Σ_j A_j(t) e^{-iq·R_j}|²`` with the places R_j of the lattice
    and a Hann window w, summed over components and averaged over samples. A is the velocity, or
    the part of the spin at right angles to the order: peaks are phonons or magnons. The order is
    the magnetisation, or where spins cancel, that of the spins which point one way on average.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned; saved at equal times, at least twice per period.
    system : AtomicSystem
        Gives the places of the atoms and their masses.
    wavevectors : array-like, shape (n_wavevectors, 3)
        In 1/Å; they have to fit into the cell.
    quantity : {"spin", "velocity"}, default "spin"

    Returns
    -------
    xarray.Dataset
        ``intensity(wavevector, energy)``, its sum over energies 1 for each wave vector;
        ``energy`` in meV, not negative. The resolution is ``4 π ħ`` over the length of the
        trajectory.

    Raises
    ------
    ValueError
        For another quantity, times that are not equally far apart, spins without a mean
        direction, or if no sample is left.

    Warns
    -----
    RuntimeWarning
        If samples failed. They are left out.
    """
    if quantity not in ("spin", "velocity"):
        raise ValueError(f"quantity={quantity!r}: expected 'spin' or 'velocity'")
    states = atoms_of(trajectory)
    times = times_of(states)
    steps = np.diff(times)
    if len(times) < 4 or np.ptp(steps) > 1e-6 * abs(steps[0]):
        raise ValueError(f"trajectory has {len(times)} times; expected some, equally far apart")
    wavevectors = np.atleast_2d(np.asarray(wavevectors, dtype=np.float64))
    _checked_turns(system, wavevectors)
    waves = np.exp(-1j * system.reference_positions @ wavevectors.T)
    row = {"spin": SPIN, "velocity": 1}[quantity]
    values = states.isel(variable=row).values.astype(np.float64)
    lost = lost_frames(trajectory) | ~np.isfinite(values).all(axis=(2, 3))
    warn_lost(lost, "trajectory", "they are left out")
    values = values[~lost.any(axis=1)]
    if len(values) == 0:
        raise ValueError("no sound sample is left: all samples failed")
    if quantity == "spin":
        values = np.stack([_transverse_part(spins, system.moments) for spins in values])
    else:
        values = values / system.masses[:, None]
    amplitude = np.einsum("ntic,iq->ntqc", values, waves)
    window = np.hanning(len(times) + 2)[1:-1, None, None]
    spectrum = np.abs(np.fft.fft(window * amplitude, axis=1)) ** 2
    power = spectrum.sum(axis=-1).mean(axis=0)
    n = len(times) // 2 + 1
    folded = power[:n].copy()
    folded[1 : (len(times) + 1) // 2] += power[: -((len(times) + 1) // 2) : -1]
    energy = 1e3 * HBAR * 2 * np.pi * np.arange(n) / (len(times) * abs(steps[0]))
    total = np.where(folded.sum(axis=0) > 0, folded.sum(axis=0), 1.0)
    return xr.Dataset(
        {"intensity": (("wavevector", "energy"), (folded / total).T)},
        {"energy": ("energy", energy, {"units": "meV"}), **_coords(wavevectors)},
    )


class _Crystal:
    """A state at rest, its primitive translations, and wave vectors that fit into its cell."""

    def __init__(self, system, wavevectors, state):
        if not isinstance(system, AtomicSystem):
            raise TypeError(f"system={system!r}: expected atoms, such as SpinLatticeCrystal")
        self.system = system
        self.wavevectors = np.atleast_2d(np.asarray(wavevectors, dtype=np.float64))
        _checked_turns(system, self.wavevectors)
        if state is None:
            self.positions = np.array(system.reference_positions)
            self.spins = system.moments[:, None] * np.array([0.0, 0.0, 1.0])
        else:
            labelled = isinstance(state, xr.DataArray)  # its variables may be in another order
            one = state.expand_dims("sample") if labelled else np.asarray(state)[None]
            state = system.validate(one, "state")[0]
            self.positions, self.spins = state[POSITION].copy(), state[SPIN].copy()
        self.labels = _sublattices(system, self.positions, self.spins)

    def subset(self, mask=True):
        """Labels of the sublattices in a mask of atoms."""
        return np.unique(self.labels[np.broadcast_to(mask, self.labels.shape)])

    def response(self, moved, measured, sublattices, n_components):
        """Linear response of each wave to each, shape (n_wavevectors, d, d).

        ``moved(sublattice, component, phase)`` gives positions and spins for a wave of unit
        amplitude times ``phase(atom)``, ``measured(spins, evaluation)`` what answers.
        """
        angles = self.positions @ self.wavevectors.T
        matrices = []
        for angle in angles.T:
            columns = []
            for b in sublattices:
                for k in range(n_components):
                    phases = (np.cos(angle), -np.cos(angle), np.sin(angle), -np.sin(angle))
                    states = [moved(b, k, phase) for phase in phases]
                    positions, spins = (np.stack(part) for part in zip(*states, strict=True))
                    answer = measured(spins, self.system.compute(positions, spins))
                    answer = 0.5 * (answer[0] - answer[1]) + 0.5j * (answer[2] - answer[3])
                    wave = answer * np.exp(-1j * angle)[:, None]
                    columns.append([wave[self.labels == c].mean(axis=0) for c in sublattices])
            matrices.append(np.reshape(columns, (len(columns), -1)).T)
        return np.array(matrices)


def _checked_turns(system, wavevectors):
    """Phases over the cell vectors in units of 2π, which must be whole."""
    turns = wavevectors @ system.cell.T / (2 * np.pi)
    whole = np.round(turns)
    off = np.abs(turns - whole).max(axis=-1) > 1e-6
    if off.any():
        bad = int(np.flatnonzero(off)[0])
        nearest = whole[bad] @ np.linalg.inv(system.cell).T * 2 * np.pi
        raise ValueError(
            f"wavevectors: {wavevectors[bad].tolist()} /Å does not fit into the cell of the "
            f"{type(system).__name__}; the nearest that does is {nearest.tolist()}"
        )
    return whole


def _sublattices(system, positions, spins):
    """Number of the sublattice of each atom: atoms of one are apart by primitive translations."""
    inverse = np.linalg.inv(system.cell)
    kinds = np.unique(system.species, return_inverse=True)[1]
    features = np.column_stack([kinds, system.masses, spins])

    def image(shift, atoms):
        """Which atoms some of them fall on after a shift; None if it is no symmetry."""
        apart = (positions[atoms] + shift)[:, None] - positions
        apart -= np.round(apart @ inverse) @ system.cell
        target = (apart**2).sum(-1).argmin(axis=1)
        off = np.abs(apart[np.arange(len(target)), target]).max()
        return (
            target if max(off, np.abs(features[target] - features[atoms]).max()) < _SAME else None
        )

    labels = np.arange(len(positions))
    distance = np.linalg.norm(positions - positions[0], axis=1)
    for atom in np.argsort(distance, kind="stable"):
        shift = positions[atom] - positions[0]
        # each translation that is not yet known at least doubles the sublattices: few are needed
        if labels[atom] != labels[0] and image(shift, np.arange(len(positions))[:8]) is not None:
            target = image(shift, np.arange(len(positions)))
            labels = labels if target is None else _joined(labels, target)
    return np.unique(labels, return_inverse=True)[1]


def _joined(labels, target):
    """Labels where atoms and their images under a translation are of one sublattice."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(labels)
    ends = np.concatenate([[np.arange(n), labels], [np.arange(n), target]], axis=1)
    return connected_components(coo_array((np.ones(2 * n), ends), shape=(n, n)), directed=False)[1]


def _transverse(spins, labels):
    """Two fields of unit vectors at right angles to the spins and each other, (2, n_atoms, 3).

    They are alike on all atoms of a sublattice: the Cartesian axis that they start from is chosen
    once for each, since between axes that are equally far rounding would decide atom by atom.
    """
    length = np.linalg.norm(spins, axis=-1, keepdims=True)
    unit = np.where(length > 0, spins / np.where(length > 0, length, 1.0), [0.0, 0.0, 1.0])
    chosen = [np.abs(unit[labels == b].mean(axis=0)).argmin() for b in range(labels.max() + 1)]
    first = np.cross(unit, np.eye(3)[chosen][labels])
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    return np.stack([first, np.cross(unit, first)])


def _check_no_torque(system, crystal):
    known = system.compute(crystal.positions[None], crystal.spins[None])
    torque = np.linalg.norm(np.cross(crystal.spins, known.magnetic_force[0]), axis=-1).max()
    if torque > 1e-4:
        raise ValueError(
            f"state: a torque of {torque:.3g} eV acts on a spin, and waves need a state at rest; "
            "relax it first, for instance by SpinLatticeSplitting with damping and friction"
        )


def _transverse_part(spins, moments):
    """Parts of the spins of a sample (t, i, c) at right angles to the order that they are in."""
    axes = _order(spins.mean(axis=0), moments)
    return spins - (spins * axes).sum(-1, keepdims=True) * axes


def _order(means, moments):
    """Unit vector of the order at each atom, zero without a moment, from mean spins.

    That of the total where spins point one way. Where they cancel, those within 60° of the
    longest share theirs, and so on with the rest: the sublattices of an antiferromagnet.
    """
    axes, rest = np.zeros_like(means), np.flatnonzero(moments > 0)
    if len(rest) == 0:
        raise ValueError("quantity='spin': no atom of the system has a moment; take 'velocity'")
    while len(rest):
        group, length = rest, np.linalg.norm(means[rest], axis=1)
        if np.linalg.norm(means[rest].sum(axis=0)) < 0.5 * length.sum():
            first = length.argmax()
            group = rest[means[rest] @ means[rest[first]] >= 0.5 * length * length[first]]
        total = means[group].sum(axis=0)
        size = np.linalg.norm(total)
        if size < _ORDER * moments[group].sum():
            raise ValueError(
                f"trajectory: the mean of {len(group)} spins is {size / moments[group].sum():.2g} "
                f"of their moments, less than {_ORDER}, so no part is transverse; simulate an "
                "ordered state, at a lower temperature"
            )
        axes[group] = total / size
        rest = np.setdiff1d(rest, group)
    return axes


def _coords(wavevectors):
    return {"q": (("wavevector", "component"), wavevectors, {"units": "1/Å"})}


def _dispersion(wavevectors, rates):
    """Dataset of frequencies in rad/fs."""
    dims = ("wavevector", "branch")
    return xr.Dataset(
        {
            "energy": (dims, 1e3 * HBAR * rates, {"units": "meV"}),
            "frequency": (dims, 1e3 * rates / (2 * np.pi), {"units": "THz"}),
        },
        _coords(wavevectors),
    )
