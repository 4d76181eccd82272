"""What comes with the package loads, says where it is from, and is better than its base step."""

import json

import numpy as np
import pytest

from dlintegrate import (
    HeisenbergLattice,
    KernelPolynomial,
    LennardJones2D,
    TriangularSDModel,
    VelocityVerlet,
    list_pretrained,
    load_pretrained,
    sample_canonical,
    skyrmion_lattice,
)
from dlintegrate.datasets import describe_pretrained
from dlintegrate.metrics import (
    one_step_error,
    ordering_weight,
    topological_charge,
    torque_error,
)

NETWORKS = [name for name in list_pretrained() if "unet" in name]
FORCES = [name for name in list_pretrained() if "graph" in name]
TORQUES = [name for name in list_pretrained() if "torque" in name]
SCRIPTS = {
    **{name: "train_unet.py --size " for name in NETWORKS},
    **{name: "train_graph.py " for name in FORCES},
    **{name: "train_torque.py " for name in TORQUES},
}


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"name='none': expected one of \['lennard-jones-graph', 'park-unet-L4'"
    ):
        load_pretrained("none")


@pytest.mark.parametrize("name", list_pretrained())
def test_card_says_where_the_weights_come_from(name):
    card = describe_pretrained(name)
    provenance = card["provenance"]
    assert provenance["command"].startswith(f"python benchmarks/{SCRIPTS[name]}")
    assert {"date", "cpu", "duration_seconds", "versions", "seeds"} <= set(provenance)
    error = "torque_error" if name in TORQUES else "one_step_error"
    assert {"system", "training_set", "lattice", "temperatures", error} <= set(card)
    assert "/work" not in json.dumps(card)
    assert "/tmp" not in json.dumps(card)


@pytest.mark.parametrize("name", NETWORKS)
def test_error_is_that_of_the_card_and_below_the_base(name):
    integrator, card = load_pretrained(name), describe_pretrained(name)
    for temperature, told in card["one_step_error"].items():
        samples = sample_canonical(integrator.system, float(temperature), 12, random_state=5)
        error = one_step_error(integrator, samples)
        assert error == pytest.approx(told["corrected"], rel=0.2)
        assert error < 0.9 * one_step_error(integrator.base, samples)


@pytest.mark.parametrize("name", NETWORKS)
def test_trajectory_stays_healthy(name):
    integrator = load_pretrained(name)
    samples = sample_canonical(integrator.system, 1.0, 2, random_state=5)
    trajectory = integrator.simulate(samples, 3.0, save_every=10)
    assert (trajectory.status == 0).all()
    assert np.abs(np.linalg.norm(trajectory.spin, axis=-1) - 1).max() < 1e-12


@pytest.mark.parametrize("name", FORCES)
@pytest.mark.parametrize("density, temperature", [(0.1, 0.27), (0.38, 0.71)])
def test_force_is_as_good_as_its_card_says_and_better_than_a_tenth_of_the_step(
    name, density, temperature
):
    integrator, card = load_pretrained(name), describe_pretrained(name)
    system = LennardJones2D(16, density)
    samples = sample_canonical(system, temperature, 64, random_state=5)
    error = one_step_error(integrator, samples)
    told = card["one_step_error"][f"density {density}, T {temperature}"]["corrected"]
    assert error < 2 * told  # a mean square with rare large terms
    verlet = VelocityVerlet(system, integrator.dt / 10)
    reference = integrator.reference
    n = round(integrator.dt / reference.dt)
    expected, fine = reference.step(samples, n), verlet.step(samples, 10)
    assert error < np.sqrt(((fine - expected) ** 2).sum(("variable", "component")).mean())


@pytest.mark.parametrize("name", FORCES)
@pytest.mark.parametrize("n_particles", [16, 48])
def test_force_keeps_energy_and_momentum_for_any_number_of_particles(name, n_particles):
    integrator = load_pretrained(name)
    system = LennardJones2D(n_particles, 0.3)
    trajectory = integrator.simulate(
        sample_canonical(system, 0.6, 4, random_state=6, n_sweeps=1000), 5.0
    )
    assert (trajectory.status != 2).all()
    energy = trajectory.energy.values / n_particles
    assert np.abs(energy - energy[:, :1]).max() < 1e-12
    assert np.abs(trajectory.momentum).max() < 1e-12
    assert trajectory.fallback_fraction.max() <= 0.05
    assert trajectory.fallback_fraction[:, -1].mean() <= 0.01


def test_weights_serve_the_systems_that_they_were_made_for():
    kinds = {name: type(load_pretrained(name).system) for name in list_pretrained()}
    assert set(kinds.values()) == {HeisenbergLattice, LennardJones2D, TriangularSDModel}


@pytest.mark.parametrize("name", TORQUES)
def test_torques_are_as_good_as_their_card_says(name):
    learned, card = load_pretrained(name), describe_pretrained(name)
    exact = learned.system.set_params(solver=KernelPolynomial(200, n_twists=2))
    spins = exact.random_states(1, 8)
    error = torque_error(learned.simulated.field_of(spins), exact.field_of(spins), spins)
    assert error == pytest.approx(card["torque_error"]["random starts, t = 0"], rel=0.15)


@pytest.mark.parametrize("name", TORQUES)
def test_torques_hold_a_skyrmion_lattice_on_a_size_they_never_saw(name):
    start = skyrmion_lattice((48, 48), offset=0.2, perturbation=0.05, random_state=1)
    run = load_pretrained(name).simulate(start, 40.0, save_every=20)
    np.testing.assert_allclose(np.abs(topological_charge(run.spin)), 48, atol=1e-6)
    assert ordering_weight(run.spin)[0, -1].sum() > 0.98 * ordering_weight(start).sum()
