"""Splittings into kicks and drifts: guarantees, order, lists, torch twins, trajectories."""

import numpy as np
import pytest
import torch
import xarray as xr

from dlintegrate import (
    PEFRL,
    BlanesMoan4,
    BlanesMoan6,
    BlanesMoanRKN4,
    HeisenbergLattice,
    LennardJones2D,
    SubsteppedVerlet,
    SuzukiTrotter2,
    SuzukiTrotter4,
    VelocityVerlet,
    open_trajectory,
)
from dlintegrate.testing import check_integrator

ALL = [VelocityVerlet, PEFRL, BlanesMoanRKN4, SubsteppedVerlet]


@pytest.mark.parametrize("integrator", ALL)
def test_keeps_what_it_declares(integrator):
    check_integrator(integrator(LennardJones2D(5, 0.3), 0.01), max_examples=5)


@pytest.mark.parametrize("integrator", [VelocityVerlet, SubsteppedVerlet])
def test_keeps_what_it_declares_with_lists(integrator):
    large = integrator(LennardJones2D(220, 0.6, cutoff=2.2, truncation="smooth"), 0.005)
    large.__class__ = type("Large", (integrator,), {"guarantees": large.guarantees - {
        "symplectic", "volume_preserving"  # by finite differences, of few particles only
    }})  # fmt: skip
    check_integrator(large, max_examples=2)


def colliding_pair(speed):
    """Head on and slightly aside, in a box so large that no image matters."""
    states = np.zeros((1, 2, 2, 2))
    states[0, 0] = [[0.0, 0.0], [2.2, 0.3]]
    states[0, 1] = [[speed, 0.0], [-speed, 0.0]]
    return xr.DataArray(
        states, dims=("sample", "variable", "particle", "component"),
        coords={"box_length": ("sample", [100.0])},
    )  # fmt: skip


@pytest.mark.parametrize(
    "integrator, order",
    [(VelocityVerlet, 2), (SubsteppedVerlet, 2), (PEFRL, 4), (BlanesMoanRKN4, 4)],
)
def test_converges_at_its_order_through_a_collision(integrator, order):
    system, start = LennardJones2D(2), colliding_pair(1.0)
    exact = BlanesMoanRKN4(system, 1 / 4000).step(start, 4000)
    errors = []
    for n in (200, 400, 800):
        errors.append(float(np.abs(integrator(system, 1 / n).step(start, n) - exact).max()))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, order, atol=0.25)


@pytest.mark.parametrize("integrator, order", [
    (SuzukiTrotter2(HeisenbergLattice(4), 1.0), 2), (SuzukiTrotter4(HeisenbergLattice(4), 1.0), 4),
    (BlanesMoan4(HeisenbergLattice(4), 1.0), 4), (BlanesMoan6(HeisenbergLattice(4), 1.0), 6),
    (VelocityVerlet(LennardJones2D(), 1.0), 2), (PEFRL(LennardJones2D(), 1.0), 4),
    (BlanesMoanRKN4(LennardJones2D(), 1.0), 4),
], ids=lambda x: type(x).__name__)  # fmt: skip
def test_coefficients_fulfil_the_conditions_of_their_order_to_rounding(integrator, order):
    """One step of a harmonic oscillator, as a power series of dt, is that of the exact flow.

    A misprint in the tenth digit is invisible to any measured order of convergence.
    """
    n = order + 2
    step = np.zeros((n, 2, 2))  # coefficients of the powers of dt
    step[0] = np.eye(2)
    for k, length in enumerate(integrator.coefficients):
        generator = np.zeros((2, 2))
        generator[(0, 1) if k % 2 else (1, 0)] = length if k % 2 else -length
        step[1:] += generator @ step[:-1]
    exact = [np.eye(2)]
    for power in range(1, n):
        exact.append(np.array([[0.0, 1.0], [-1.0, 0.0]]) @ exact[-1] / power)
    wrong = np.abs(step - exact).max(axis=(1, 2))
    assert wrong[: order + 1].max() < 1e-13
    assert wrong[order + 1] > 1e-8, "and no higher order"


def test_a_pair_keeps_its_energy_and_angular_momentum():
    system, start = LennardJones2D(2), colliding_pair(1.0)
    trajectory = BlanesMoanRKN4(system, 1e-3).simulate(start, 3.0, save_every=50)
    assert float(abs(trajectory.energy - trajectory.energy[:, 0]).max()) < 1e-9
    q, p = (trajectory.phase_space.sel(variable=v).values for v in ("position", "momentum"))
    angular = (q[..., 0] * p[..., 1] - q[..., 1] * p[..., 0]).sum(axis=-1)
    assert np.ptp(angular) < 1e-12


def test_the_fourth_order_schemes_beat_verlet_at_equal_cost():
    system, start = LennardJones2D(2), colliding_pair(1.0)
    exact = BlanesMoanRKN4(system, 1 / 4000).step(start, 4000)

    def error(integrator, n):
        return float(np.abs(integrator(system, 1 / n).step(start, n) - exact).max())

    assert VelocityVerlet(system, 1).n_forces == 1
    assert (PEFRL(system, 1).n_forces, BlanesMoanRKN4(system, 1).n_forces) == (4, 6)
    assert error(BlanesMoanRKN4, 50) < error(PEFRL, 75) < error(VelocityVerlet, 300)


def test_free_particles_fly_straight():
    states = np.zeros((1, 2, 2, 2))
    states[0, 0, 1] = 30.0
    states[0, 1] = [[0.7, -0.2], [-0.1, 0.4]]
    system = LennardJones2D(2, density=2 / 60**2, cutoff=2.5)
    after = VelocityVerlet(system, 0.1).step(states, 200)
    np.testing.assert_allclose(after[0, 0], states[0, 0] + 20 * states[0, 1], rtol=1e-12)


@pytest.mark.parametrize("n_particles, cutoff", [(9, None), (9, 2.0), (50, None), (50, 2.0)])
@pytest.mark.parametrize("integrator", ALL)
def test_the_torch_twin_agrees(integrator, n_particles, cutoff):
    system = LennardJones2D(n_particles, 0.2, cutoff=cutoff)
    step = integrator(system, 0.01)
    packed = system.validate(system.random_states(3, 1))
    twin = step.advance_tensor(torch.as_tensor(packed), 5).numpy()
    np.testing.assert_allclose(twin, step.advance(packed, 5), rtol=1e-12, atol=1e-12)


def test_one_inner_step_is_velocity_verlet():
    system = LennardJones2D(16, 0.38)
    states = system.random_states(3, 2)
    verlet = VelocityVerlet(system, 0.01).step(states, 20)
    substepped = SubsteppedVerlet(system, 0.01, n_inner=1).step(states, 20)
    np.testing.assert_allclose(substepped, verlet, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:.*failed, the first")
def test_inner_steps_make_a_large_outer_step_stable():
    system = LennardJones2D(16, 0.38)
    states = system.random_states(20, 3)
    states[:, 1] *= 1.5

    def drift(integrator):
        energy = integrator.simulate(states, 10.0, save_every=20).energy.values
        return np.abs(energy - energy[:, :1]).max() / 16

    assert drift(SubsteppedVerlet(system, 0.03, n_inner=8)) < 0.05
    assert drift(VelocityVerlet(system, 0.03)) > 0.5


def test_lists_give_the_same_trajectory_as_all_pairs():
    system = LennardJones2D(300, 0.7, cutoff=2.2)
    states = system.random_states(1, 4)
    all_pairs = LennardJones2D(300, 0.7, cutoff=2.2)
    listed = VelocityVerlet(system, 0.004).step(states, 150)
    packed = all_pairs.validate(states)
    from dlintegrate._kernels import pairs

    pairs.advance_small(packed, VelocityVerlet(system, 0.004).schedule(), 150, system.law)
    # 150 steps rebuild the list a few times; chaos amplifies rounding a little
    np.testing.assert_allclose(listed, packed[:, :, :-1], atol=1e-9)


class TestTrajectory:
    def start(self):
        system = LennardJones2D(16)
        states = system.random_states(3, 5)
        return system, xr.DataArray(
            states, dims=("sample", "variable", "particle", "component"),
            coords={"box_length": ("sample", [9.0, 10.0, 12.0]),
                    "temperature": ("sample", [0.5, 0.6, 0.7])},
        )  # fmt: skip

    def test_follows_the_schema(self):
        system, start = self.start()
        trajectory = VelocityVerlet(system, 0.01).simulate(start, 1.0, save_every=20)
        assert trajectory.phase_space.dims == (
            "sample", "time", "variable", "particle", "component"
        )  # fmt: skip
        assert trajectory["variable"].values.tolist() == ["position", "momentum"]
        assert trajectory.box_length.values.tolist() == [9.0, 10.0, 12.0]
        assert trajectory.temperature.values.tolist() == [0.5, 0.6, 0.7]
        assert trajectory.momentum.dims == ("sample", "time", "component")
        for name in ("energy", "kinetic_temperature", "pressure"):
            assert trajectory[name].dims == ("sample", "time")
            assert trajectory[name].attrs["long_name"]
        assert abs(trajectory.momentum).max() < 1e-13

    def test_on_disk_is_the_same_and_resumes_bit_for_bit(self, tmp_path):
        system, start = self.start()
        step = VelocityVerlet(system, 0.01)
        whole = step.simulate(start, 2.0, save_every=20)
        path = tmp_path / "run.nc"
        step.simulate(start, 1.0, save_every=20, path=path)
        resumed = step.resume(path, 2.0)
        xr.testing.assert_equal(resumed.compute(), whole)
        resumed.close()
        with open_trajectory(path) as again:
            assert again["variable"].values.tolist() == ["position", "momentum"]

    def test_an_explosion_freezes_one_sample_and_the_rest_go_on(self):
        system, start = self.start()
        start = start.copy()
        start[1, 0, 1] = start[1, 0, 0] + [0.55, 0.0]  # far up the wall
        with pytest.warns(RuntimeWarning, match=r"sample 1 \(1 of 3\) failed"):
            trajectory = VelocityVerlet(system, 0.02).simulate(start, 0.8)
        assert trajectory.status.values.tolist() == [0, 2, 0]
        assert np.isfinite(trajectory.phase_space).all()
        assert 0 < float(trajectory.failure_time[1]) < 0.5


def test_inner_steps_need_a_window():
    system = LennardJones2D(16)
    states = system.random_states(1, 0)
    with pytest.raises(ValueError, match=r"window=\(2, 1\): expected two increasing distances"):
        SubsteppedVerlet(system, 0.01, window=(2, 1)).step(states)
    with pytest.raises(ValueError, match=r"n_inner=0: expected an int, 1 or more"):
        SubsteppedVerlet(system, 0.01, n_inner=0).step(states)
    short = LennardJones2D(16, cutoff=1.5)
    with pytest.raises(ValueError, match=r"window=.* reaches beyond cutoff=1.5"):
        SubsteppedVerlet(short, 0.01).step(states)


def test_spins_cannot_be_kicked():
    lattice = HeisenbergLattice(4)
    with pytest.raises(
        TypeError, match=r"VelocityVerlet needs a system of particles.*HeisenbergLattice"
    ):
        VelocityVerlet(lattice, 0.1).step(lattice.random_states(1, 0))
