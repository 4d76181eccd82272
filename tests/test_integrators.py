"""Integrators: guarantees, order of convergence, numba against torch, bad input."""

import numpy as np
import pytest
import torch

from dlintegrate import (
    BlanesMoan4,
    BlanesMoan6,
    HeisenbergLattice,
    ImplicitMidpoint,
    LennardJones2D,
    SublatticeComposition,
    SuzukiTrotter2,
    SuzukiTrotter4,
    TriangularSDModel,
)
from dlintegrate.testing import check_integrator

ALL = [SuzukiTrotter2, SuzukiTrotter4, BlanesMoan4, BlanesMoan6, ImplicitMidpoint]
SYSTEMS = [
    HeisenbergLattice(shape=(4, 4, 6)),
    HeisenbergLattice(shape=(4, 6), J=-0.7),
    HeisenbergLattice(shape=(8,), J=1.3, field=(0.1, -0.2, 0.4)),
]
LEARNED_LIKE = {
    "coefficients": [0.2, 0.4, 0.3, 0.2, 0.3, 0.4, 0.2],
    "angle_coefficients": np.array([[0.1, -0.2, 0.3]] * 7)
    * np.array([1, 2, 3, 4, 3, 2, 1])[:, None],
}


def nonlinear_wave(shape, theta, mode, t, J=1.0):
    """Exact spin wave of any amplitude: phi = q·r - omega t, S_z = cos theta."""
    q = 2 * np.pi * np.array(mode) / np.array(shape)
    omega = np.cos(theta) * 2 * J * np.sum(1 - np.cos(q))
    phase = np.tensordot(q, np.indices(shape), axes=1) - omega * t
    return np.stack(
        [np.sin(theta) * np.cos(phase), np.sin(theta) * np.sin(phase), np.cos(theta) + 0 * phase],
        axis=-1,
    )[None]


@pytest.mark.parametrize("integrator", ALL)
@pytest.mark.parametrize("system", SYSTEMS, ids=["3d", "2d-antiferromagnet", "1d-field"])
def test_keeps_what_it_declares(integrator, system):
    check_integrator(integrator(system, dt=0.1), max_examples=4)


@pytest.mark.parametrize("first", [0, 1])
def test_a_composition_with_any_coefficients_and_angles_keeps_what_it_declares(first):
    system = HeisenbergLattice(shape=(4, 4))
    composition = SublatticeComposition(system, 0.2, **LEARNED_LIKE, first=first)
    assert {"energy", "time_reversible", "volume_preserving"} <= composition.guarantees
    check_integrator(composition, max_examples=4)


def test_odd_sides_need_the_midpoint_rule():
    system = HeisenbergLattice(shape=(3, 5))
    check_integrator(ImplicitMidpoint(system, 0.1), max_examples=4)
    with pytest.raises(ValueError, match=r"shape=\(3, 5\).*ImplicitMidpoint or an even side"):
        SuzukiTrotter2(system, 0.1).step(system.random_states(1, 0))


@pytest.mark.parametrize(
    ("integrator", "order"),
    [
        (SuzukiTrotter2, 2),
        (SuzukiTrotter4, 4),
        (BlanesMoan4, 4),
        (BlanesMoan6, 6),
        (ImplicitMidpoint, 2),
    ],
)
@pytest.mark.parametrize("J", [1.0, -1.0])
def test_order_of_convergence_on_the_exact_nonlinear_wave(integrator, order, J):
    shape, t = (6, 4, 4), 0.8
    system = HeisenbergLattice(shape, J=J)
    start, exact = (nonlinear_wave(shape, 0.7, (1, 2, 1), s, J) for s in (0.0, t))
    errors = [
        np.abs(integrator(system, dt).step(start, round(t / dt)) - exact).max()
        for dt in np.array([0.2, 0.1, 0.05]) * {2: 0.25, 4: 1.0, 6: 2.0}[order]
    ]
    observed = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.allclose(observed, order, atol=0.15), (errors, observed)


@pytest.mark.parametrize("integrator", ALL)
def test_a_single_spin_in_a_field_precesses_clockwise_about_it(integrator):
    """With J = 0 every spin obeys dS/dt = S × B, exactly but for the midpoint rule."""
    system = HeisenbergLattice(shape=(4,), J=0.0, field=(0, 0, 2.0))
    start = np.zeros((1, 4, 3))
    start[..., 0] = 1.0
    t = 0.5
    end = integrator(system, 0.01).step(start, 50)[0, 0]
    assert end == pytest.approx([np.cos(2 * t), -np.sin(2 * t), 0.0], abs=1e-4)


@pytest.mark.parametrize("system", SYSTEMS, ids=["3d", "2d", "1d"])
@pytest.mark.parametrize("integrator", ALL)
def test_torch_twin_agrees_with_the_kernel(integrator, system):
    states = system.random_states(3, 1, order=1.0)
    stepper = integrator(system, dt=0.1)
    twin = stepper.advance_tensor(torch.as_tensor(states), 4).numpy()
    assert np.abs(twin - stepper.advance(states, 4)).max() < 1e-12


def test_torch_twin_agrees_for_learned_angles_and_processor():
    system = HeisenbergLattice(shape=(4, 6), J=0.8)
    states = system.random_states(2, 2)
    composition = SublatticeComposition(
        system, 0.2, **LEARNED_LIKE, first=1, processor=[0.1, -0.2, -0.1, 0.2],
        processor_angles=np.full((4, 3), 0.3),
    )  # fmt: skip
    twin = composition.advance_tensor(torch.as_tensor(states), 3).numpy()
    assert np.abs(twin - composition.advance(states, 3)).max() < 1e-12


@pytest.mark.parametrize("dt", [0.14, 0.2])
def test_the_torch_twin_of_the_midpoint_rule_converges_or_fails_as_the_kernel_does(dt):
    system = HeisenbergLattice(shape=4)
    states = np.concatenate([system.random_states(1, 0, order=20.0), system.random_states(1, 1)])
    stepper = ImplicitMidpoint(system, dt)
    expected = stepper.advance(states, 1)
    twin = stepper.advance_tensor(torch.as_tensor(states), 1).numpy()
    np.testing.assert_array_equal(np.isnan(twin), np.isnan(expected))
    np.testing.assert_allclose(twin, expected, atol=1e-12)
    assert np.isnan(expected[0]).all() == (dt == 0.2)


@pytest.mark.parametrize("integrator", ALL)
def test_gradients_flow_through_the_torch_twin(integrator):
    system = HeisenbergLattice(shape=(4,))
    states = torch.as_tensor(system.random_states(1, 3)).requires_grad_()
    integrator(system, 0.2).advance_tensor(states, 2)[0, 0, 0].backward()
    assert torch.isfinite(states.grad).all() and states.grad.abs().max() > 0


def test_large_angles_are_rotations_too():
    """The series is halved and doubled as often as the angle needs."""
    system = HeisenbergLattice(shape=(4,), J=0.0, field=(0, 0, 1.0))
    start = np.zeros((1, 4, 3))
    start[..., 0] = 1.0
    for angle in (3.0, 100.0):
        end = SuzukiTrotter2(system, angle).step(start)[0, 0]
        assert end == pytest.approx([np.cos(angle), -np.sin(angle), 0.0], abs=1e-12)


def test_a_sublattice_scheme_is_not_symplectic_and_does_not_say_so():
    from dlintegrate import testing

    system = HeisenbergLattice(shape=(4, 4))
    integrator = SuzukiTrotter2(system, 0.1)
    assert "symplectic" not in integrator.guarantees
    with pytest.raises(AssertionError, match="not symplectic"):
        testing.GUARANTEES["symplectic"](integrator, system.random_states(1, 0), 1, None)


def test_the_processor_is_undone_at_the_end_of_a_run():
    system = HeisenbergLattice(shape=(4, 4))
    states = system.random_states(2, 0)
    chi = [0.1, 0.3, -0.1, -0.3]
    plain = SublatticeComposition(system, 1e-8, [0.5, 1, 0.5])
    processed = SublatticeComposition(system, 1e-8, [0.5, 1, 0.5], processor=chi)
    assert np.abs(processed.step(states) - plain.step(states)).max() < 1e-14
    assert "time_reversible" not in processed.guarantees


class TestBadInput:
    def test_steps_that_are_no_numbers(self, lattice):
        states = lattice.random_states(1, 0)
        for dt in (0, np.nan, np.inf, "0.1"):
            with pytest.raises(ValueError, match="dt="):
                SuzukiTrotter2(lattice, dt).step(states)
        with pytest.raises(ValueError, match="n_steps=-1"):
            SuzukiTrotter2(lattice, 0.1).step(states, -1)

    def test_systems_of_other_spins_are_named(self):
        for system in (LennardJones2D(16, 0.2), TriangularSDModel((6, 6))):
            for step in (SuzukiTrotter2(system, 0.1), ImplicitMidpoint(system, 0.1)):
                with pytest.raises(TypeError, match="needs a HeisenbergLattice; got"):
                    step.step(system.random_states(1, 0))

    def test_the_torch_twin_refuses_odd_sides_too(self):
        states = torch.as_tensor(HeisenbergLattice((4, 5, 4)).random_states(1, 0))
        with pytest.raises(ValueError, match="needs even sides"):
            SuzukiTrotter2(HeisenbergLattice((4, 5, 4)), 0.1).advance_tensor(states)

    def test_iterations_are_a_number(self, lattice):
        with pytest.raises(ValueError, match="max_iterations=0"):
            ImplicitMidpoint(lattice, 0.1, max_iterations=0).step(lattice.random_states(1, 0))

    def test_a_midpoint_step_that_does_not_converge_fails_alone_and_loudly(self):
        """Aligned spins feel their field along themselves and converge at any dt."""
        system = HeisenbergLattice(shape=4)
        states = system.random_states(3, 0)
        states[1] = [0.0, 0.0, 1.0]
        with pytest.warns(RuntimeWarning, match="samples 0, 2"):
            result = ImplicitMidpoint(system, 5.0).step(states)
        assert np.isnan(result[0]).all() and np.isnan(result[2]).all()
        assert np.abs(result[1] - states[1]).max() < 1e-12

    @pytest.mark.parametrize(
        ("coefficients", "message"),
        [
            ([0.5, 1.0], "odd number"),
            ([0.4, 1.0, 0.6], "palindromic"),
            ([0.5, 0.9, 0.5], "sum to"),
            ([0.5, np.nan, 0.5], "odd number"),
        ],
    )
    def test_inconsistent_compositions(self, lattice, coefficients, message):
        with pytest.raises(ValueError, match=message):
            SublatticeComposition(lattice, 0.1, coefficients).step(lattice.random_states(1, 0))
