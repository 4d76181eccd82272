"""check_integrator finds every lie: each guarantee, declared by an integrator that breaks it."""

import numpy as np
import pytest
from atomic_clusters import SpringCluster

from dlintegrate import (
    HeisenbergLattice,
    LennardJones2D,
    SpinLatticeSplitting,
    SuzukiTrotter2,
    VelocityVerlet,
)
from dlintegrate.integrators import Integrator
from dlintegrate.testing import GUARANTEES, check_integrator

SYSTEM = HeisenbergLattice(shape=(4, 4))
PARTICLES = LennardJones2D(5, 0.3)
ATOMS = SpringCluster(3, J=0.3)


class Liar(Integrator):
    """The step of a classical method followed by a defect, under a false declaration."""

    def __init__(self, system, dt, defect=None, declares=()):
        self.system, self.dt, self.defect, self.declares = system, dt, defect, declares

    @property
    def guarantees(self):
        return frozenset(self.declares)

    def advance(self, array, n_steps):
        result = np.array(array)
        for _ in range(n_steps):
            result = honest(self.system, self.dt).advance(result, 1)
            if self.defect is not None:
                result = self.defect(result, self.system)
        return result


def honest(system, dt):
    methods = {LennardJones2D: VelocityVerlet, SpringCluster: SpinLatticeSplitting}
    return methods.get(type(system), SuzukiTrotter2)(system, dt)


def normalized(spins):
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


def stretch(spins, system):
    return spins * (1 + 1e-9)


def damp(spins, system):
    """Towards the field, as a Landau-Lifshitz damping does: energy and volume shrink."""
    field = system.local_field(normalized(spins))
    return normalized(spins + 1e-3 * field)


def turn_about_z(spins, system):
    """A turn that does not change its sense with dt, about an axis of its own."""
    c, s = np.cos(1e-6), np.sin(1e-6)
    return spins @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def turn_about_z_more_at_the_pole(spins, system):
    angle = 1e-6 * (1 + spins[..., 2])
    x, y, z = np.moveaxis(spins, -1, 0)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * x - s * y, s * x + c * y, z], axis=-1)


def one_special_site(spins, system):
    spins = spins.copy()
    spins[:, 0, 0] = turn_about_z(spins[:, 0, 0], system)
    return spins


LIES = {
    "norm": stretch,
    "energy": damp,
    "magnetization": None,  # the scheme itself does not keep it
    "time_reversible": turn_about_z,
    "rotation_equivariant": turn_about_z_more_at_the_pole,
    "translation_equivariant": None,  # the sublattices are not updated alike
    "even_translation_equivariant": one_special_site,
    "symplectic": None,  # volume-preserving, but not symplectic
    "volume_preserving": damp,
}


def push(packed, system):
    """The same push for all: momentum is gained."""
    packed = packed.copy()
    packed[:, 1, :-1, 0] += 1e-6
    return packed


def push_the_first(packed, system):
    packed = packed.copy()
    packed[:, 1, 0] += 1e-6
    return packed


def rub(packed, system):
    """Friction against the walls: no longer the same in a moving frame, and contracting."""
    packed = packed.copy()
    packed[:, 1, :-1] *= 1 - 1e-4
    return packed


def trap(packed, system):
    """A force towards the origin, that of a wave in the box: symplectic, nothing else."""
    packed = packed.copy()
    wave = 2 * np.pi / packed[:, 0, -1:, None, 0]
    packed[:, 1, :-1] -= 1e-5 * np.sin(wave * packed[:, 0, :-1])
    return packed


PARTICLE_LIES = {
    "energy": None,  # kept to the order of the method only
    "momentum": push,
    "time_reversible": push,
    "rotation_equivariant": push,
    "translation_equivariant": trap,
    "permutation_equivariant": push_the_first,
    "galilean_equivariant": rub,
    "symplectic": rub,
    "volume_preserving": rub,
}


def of_spins(defect):
    """A defect of the spins of atoms; positions and momenta are honest."""

    def spoil(states, system):
        states = states.copy()
        states[:, 2] = defect(states[:, 2], system)
        return states

    return spoil


def of_momenta(change):
    def spoil(states, system):
        states = states.copy()
        states[:, 1] += 1e-6 * change(states)
        return states

    return spoil


ATOM_LIES = {
    "norm": of_spins(stretch),
    "energy": None,  # kept to the order of the method only
    "magnetization": of_spins(turn_about_z),
    "momentum": of_momenta(lambda s: 1.0),
    "time_reversible": of_spins(turn_about_z),
    "spin_rotation_equivariant": of_spins(turn_about_z),
    "translation_equivariant": of_momenta(lambda s: s[:, 0]),
    "permutation_equivariant": of_momenta(lambda s: np.arange(3.0)[:, None]),
    "galilean_equivariant": of_momenta(lambda s: -s[:, 1]),
    "symplectic": None,  # sweeps over bonds are not, between atoms that move
    "volume_preserving": of_momenta(lambda s: -10 * s[:, 1]),
}


@pytest.mark.parametrize("name", sorted(ATOM_LIES))
def test_a_false_guarantee_about_atoms_is_found(name):
    with pytest.raises(AssertionError):
        check_integrator(Liar(ATOMS, 2.0, ATOM_LIES[name], declares=(name,)), max_examples=4)


def test_there_is_a_lie_for_every_guarantee():
    assert set(LIES) | set(PARTICLE_LIES) | set(ATOM_LIES) == set(GUARANTEES)


@pytest.mark.parametrize("name", sorted(PARTICLE_LIES))
def test_a_false_guarantee_about_particles_is_found(name):
    liar = Liar(PARTICLES, 0.01, PARTICLE_LIES[name], declares=(name,))
    with pytest.raises(AssertionError):
        check_integrator(liar, max_examples=8)


def test_a_defect_of_particles_is_not_found_where_there_is_none():
    kept = VelocityVerlet(PARTICLES, 0.01).guarantees
    check_integrator(Liar(PARTICLES, 0.01, trap, declares=("symplectic",)), max_examples=2)
    check_integrator(Liar(PARTICLES, 0.01, None, declares=tuple(kept)), max_examples=2)


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_false_guarantee_is_found(name):
    liar = Liar(SYSTEM, 0.1, LIES[name], declares=(name,))
    with pytest.raises(AssertionError):
        check_integrator(liar, max_examples=8)


@pytest.mark.parametrize("name", sorted(set(LIES) & SuzukiTrotter2(SYSTEM, 0.1).guarantees))
def test_the_defect_and_nothing_else_is_what_is_found(name):
    check_integrator(Liar(SYSTEM, 0.1, None, declares=(name,)), max_examples=2)


def mutate(spins, n):
    spins *= 1.0
    spins[0] = spins[0][::-1]
    return spins


def mix_the_batch(spins, n):
    return normalized(spins + 1e-9 * spins.mean(axis=0))


def remember(spins, n, calls=[]):  # noqa: B006
    calls.append(1)
    return normalized(spins + 1e-9 * len(calls))


def count_twice(spins, n):
    return normalized(spins + 1e-3 * n**2 * np.array([0.0, 0.0, 1.0])) if n else spins.copy()


class Rude(Integrator):
    """Breaks the interface."""

    guarantees = frozenset()

    def __init__(self, system, dt, manner):
        self.system, self.dt, self.manner = system, dt, manner

    def advance(self, array, n_steps):
        return self.manner(array, n_steps)


@pytest.mark.parametrize("manner", [mutate, mix_the_batch, remember, count_twice])
def test_a_broken_interface_is_found(manner):
    with pytest.raises((AssertionError, ValueError)):
        check_integrator(Rude(SYSTEM, 0.1, manner), max_examples=3)


class Converts(Rude):
    """Changes an argument in ``__init__``."""

    def __init__(self, system, dt, manner):
        super().__init__(system, [dt], manner)


def test_an_init_that_does_more_than_store_is_found():
    with pytest.raises(AssertionError, match="than store"):
        check_integrator(Converts(SYSTEM, 0.1, remember), max_examples=1)


def test_an_unknown_guarantee_is_refused():
    with pytest.raises(AssertionError, match=r"guarantees \['eternity'\] are not known"):
        check_integrator(Liar(SYSTEM, 0.1, declares=("eternity",)))
