"""Corrected steps of particles: energy projection, fallback to small steps, health."""

import joblib
import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from dlintegrate import (
    BlanesMoanRKN4,
    CorrectedIntegrator,
    Fallback,
    GraphForce,
    HeisenbergLattice,
    LennardJones2D,
    SuzukiTrotter2,
    VelocityVerlet,
    load,
    load_pretrained,
    sample_canonical,
    save,
)
from dlintegrate.correctors import Corrector, ResidueCorrector
from dlintegrate.integrators import Integrator
from dlintegrate.testing import check_integrator

SYSTEM = LennardJones2D(16, 0.38)
BASE = VelocityVerlet(SYSTEM, 0.1)


@pytest.fixture(scope="module")
def samples():
    states = sample_canonical(SYSTEM, 0.71, 6, random_state=0)
    box = states.box_length.values.copy()
    box[0] *= 1.1  # by which the faults below know their victim
    return states.assign_coords(box_length=("sample", box))


def corrected(corrector=None, samples=None, **parameters):
    """A corrected integrator; the mechanical graph force needs no training."""
    parameters = {"projection": "energy", "fallback": Fallback(), **parameters}
    integrator = CorrectedIntegrator(
        BASE, corrector or GraphForce(width=0), BlanesMoanRKN4(SYSTEM, 0.01), **parameters
    )
    return integrator.fit(SYSTEM.random_states(2, 0) if samples is None else samples)


class Faulty(Integrator):
    """The reference, but for what it does to a sample in a larger box."""

    guarantees = frozenset({"momentum"})

    def __init__(self, base, fault):
        self.base, self.fault = base, fault

    @property
    def system(self):
        return self.base.system

    @property
    def dt(self):
        return self.base.dt

    def with_dt(self, dt):
        return Faulty(self.base.with_dt(dt), self.fault)

    def advance(self, array, n_steps):
        for _ in range(n_steps):
            array = BlanesMoanRKN4(self.system, self.dt / 10).advance(array, 10)
            victim = array[:, 0, -1, 0] > 1.05 * SYSTEM.box_length
            array[victim] = FAULTS[self.fault](array[victim])
        return array


def _set(value, *where):
    def fault(array):
        array[(slice(None), *where)] = value
        return array

    return fault


def _overlap(array):
    array[:, 0, 1] = array[:, 0, 0] + 0.3
    return array


def _gain_energy(array):
    array[:, 1, :-1] *= 1.5
    return array


FAULTS = {
    "nan": _set(np.nan, 0, 0, 0),
    "infinite": _set(np.inf, 1, 0, 0),
    "fast": _set(1e4, 1, 0, 0),
    "overlap": _overlap,
    "energy": _gain_energy,
}


class FaultyCorrector(Corrector):
    """Binds to a step that spoils one sample of the batch."""

    local = True

    def __init__(self, fault="nan"):
        self.fault = fault

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        self.history_ = {"loss": []}
        return self

    def bind(self, base):
        return Faulty(base, self.fault)

    def guarantees(self, base):
        return frozenset({"momentum"})


class Damping(ResidueCorrector):
    """A residue that loses energy."""

    local = True

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        self.history_ = {"loss": []}
        return self

    def guarantees(self, base):
        return frozenset({"norm"})

    def residue(self, system, before, after):
        return 1e-4 * system.local_field(after)


class TestFallback:
    @pytest.mark.parametrize("fault", sorted(FAULTS))
    def test_redoes_the_step_of_that_sample_alone(self, fault, samples):
        integrator = corrected(FaultyCorrector(fault))
        trajectory = integrator.simulate(samples, 0.5)
        assert trajectory.status.values.tolist() == [1, 0, 0, 0, 0, 0]
        assert trajectory.fallback_fraction[:, -1].values.tolist() == [1, 0, 0, 0, 0, 0]
        expected = BlanesMoanRKN4(SYSTEM, 0.01).simulate(samples, 0.5, save_every=10)
        for sample, tolerance in ((0, 0.05), (1, 1e-4), (5, 1e-4)):
            error = abs(trajectory.phase_space - expected.phase_space)[sample].max()
            assert error < tolerance  # small Verlet steps, or the converged step itself

    def test_without_it_the_sample_is_lost_and_the_rest_go_on(self, samples):
        integrator = corrected(FaultyCorrector("overlap"), fallback=None)
        with pytest.warns(RuntimeWarning, match=r"sample 0 \(1 of 6\) failed"):
            trajectory = integrator.simulate(samples, 0.5)
        assert trajectory.status.values.tolist() == [2, 0, 0, 0, 0, 0]
        assert float(trajectory.failure_time[0]) == pytest.approx(0.1)
        assert "fallback_fraction" not in trajectory

    def test_that_fails_too_freezes_the_sample_with_its_time(self, samples):
        useless = Fallback(integrator=Faulty(BASE, "nan"))
        integrator = corrected(FaultyCorrector("nan"), fallback=useless)
        with pytest.warns(RuntimeWarning, match=r"sample 0 \(1 of 6\) failed"):
            trajectory = integrator.simulate(samples, 1.0)
        assert trajectory.status.values.tolist() == [2, 0, 0, 0, 0, 0]
        time = float(trajectory.failure_time[0])
        assert time == pytest.approx(0.1)
        frozen = trajectory.phase_space.values[0]
        np.testing.assert_array_equal(frozen, np.broadcast_to(frozen[0], frozen.shape))

    def test_tight_bounds_make_every_step_fall_back(self, samples):
        always = Fallback(n_substeps=50, bounds={"min_distance": (5.0, np.inf)})
        step = corrected(fallback=always)
        assert step.falls_back
        array = SYSTEM.validate(samples)
        result, counts = step.advance_counting(array, 3)
        assert counts.tolist() == [3] * 6
        expected = array
        for _ in range(3):
            fine = VelocityVerlet(SYSTEM, 0.002).advance(expected, 50)
            expected = SYSTEM.project(fine, expected, {"energy"}, 0.1)
        np.testing.assert_array_equal(result, expected)

    def test_takes_smaller_steps_where_small_ones_lose_energy(self, samples):
        # ten times as strict as velocity Verlet at dt/20 is in a collision
        step = corrected(fallback=Fallback(bounds={"energy_change": (0.0, 8e-5)}))
        trajectory = step.simulate(samples, 5.0)
        assert (trajectory.status == 1).all()
        assert 0.05 < float(trajectory.fallback_fraction[:, -1].mean()) < 0.9

    def test_a_sample_does_not_depend_on_the_others_that_fall_back(self, samples):
        bounds = {"energy_change": (0.0, 8e-4)}  # broken now and then
        step = corrected(fallback=Fallback(bounds=bounds))
        array = SYSTEM.validate(samples)
        together, counts = step.advance_counting(array, 20)
        assert 0 < counts.sum() < 6 * 20
        alone = np.concatenate([step.advance(a[None], 20) for a in array])
        np.testing.assert_allclose(together, alone, atol=1e-9)

    def test_counts_survive_a_resume_bit_for_bit(self, samples, tmp_path):
        step = corrected(fallback=Fallback(bounds={"energy_change": (0.0, 8e-4)}))
        path = tmp_path / "run.nc"
        whole = step.simulate(samples, 2.0, save_every=2)
        step.simulate(samples, 1.0, save_every=2, path=path)
        resumed = step.resume(path, 2.0)
        assert float(whole.fallback_fraction[:, -1].max()) > 0
        xr.testing.assert_equal(resumed.compute(), whole)
        resumed.close()

    def test_serves_spins_as_well(self):
        lattice = HeisenbergLattice(4)
        states = lattice.random_states(3, 1)
        strict = Fallback(bounds={"energy_change": (0.0, 1e-9)})
        integrator = CorrectedIntegrator(
            SuzukiTrotter2(lattice, 0.2), Damping(), fallback=strict
        ).fit(states)
        trajectory = integrator.simulate(states[:2], 1.0)
        # the residue changes the energy by more, the small steps keep it exactly
        assert trajectory.fallback_fraction[:, -1].values.tolist() == [1.0, 1.0]
        assert abs(trajectory.energy - trajectory.energy[:, 0]).max() < 1e-10

    @pytest.mark.parametrize(
        "fallback, message",
        [
            (Fallback(n_substeps=0), r"n_substeps=0: expected an int, 1 or more"),
            (Fallback(bounds={"colour": (0, 1)}), r"LennardJones2D has no 'colour', only"),
            (Fallback(bounds={"max_speed": (2, 1)}), r"bounds\['max_speed'\]=\(2, 1\): expected"),
            (Fallback(bounds={"max_speed": 3}), r"bounds\['max_speed'\]=3: expected"),
            (Fallback(bounds=[1, 2]), r"bounds=\[1, 2\]: expected a dict"),
            (
                Fallback(integrator=VelocityVerlet(LennardJones2D(16, 0.38, epsilon=4.0), 0.01)),
                r"fallback: integrator.system=.* differs from base.system",
            ),
            (Fallback(integrator=VelocityVerlet(SYSTEM, 0.03)), r"integrator.dt=0.03 does not"),
        ],
    )
    def test_bad_parameters_are_found_before_the_fit(self, fallback, message):
        with pytest.raises(ValueError, match=message):
            corrected(fallback=fallback)

    def test_bounds_that_are_not_named_keep_their_defaults(self):
        bounds = Fallback(bounds={"max_speed": None, "min_distance": (0.8, 9.0)})
        checked = bounds.checked_bounds(SYSTEM)
        assert checked["energy_change"] == SYSTEM.default_bounds["energy_change"]
        assert checked["min_distance"] == (0.8, 9.0) and "max_speed" not in checked

    def test_a_wrong_collision_is_found_among_many_particles(self):
        system = LennardJones2D(1024, 0.3, cutoff=2.5)
        before = system.validate(system.random_states(1, 0))
        after = before.copy()
        after[0, 1, 0] += [3.0, 0.0]
        after[0, 1, 1] -= [3.0, 0.0]
        names = [
            name
            for name, (low, high) in system.default_bounds.items()
            if not low <= system.diagnose(after, before)[name][0] <= high
        ]
        assert names == ["energy_change"]

    def test_a_failed_sample_counts_its_steps_up_to_the_failure(self, samples):
        useless = Fallback(integrator=Faulty(BASE, "nan"))
        integrator = corrected(FaultyCorrector("nan"), fallback=useless)
        with pytest.warns(RuntimeWarning, match="failed"):
            trajectory = integrator.simulate(samples, 1.0)
        assert (trajectory.fallback_fraction[0, 1:] == 1.0).all()


def test_particles_that_fly_together_do_not_fall_back(samples):
    integrator = corrected(samples=samples)
    flying = samples.copy()
    flying[:, 1] += 50.0
    assert SYSTEM.resized(flying.shape[1:]).healthy(SYSTEM.validate(flying)).all()
    still, fast = (integrator.simulate(s, 0.5) for s in (samples, flying))
    np.testing.assert_array_equal(fast.fallback_fraction, still.fallback_fraction)


@pytest.mark.parametrize("epsilon, sigma", [(100.0, 1.0), (0.01, 3.4)])
def test_units_change_nothing(epsilon, sigma, samples):
    # energies in ε, lengths in σ: velocities scale by ε^½, times by σ ε^-½
    speed = np.sqrt(epsilon)
    scaled = LennardJones2D(16, 0.38 / sigma**2, epsilon=epsilon, sigma=sigma)
    trained = load_pretrained("lennard-jones-graph")
    ours = CorrectedIntegrator(
        VelocityVerlet(SYSTEM, 0.1), trained.corrector, projection="energy", fallback=Fallback()
    )
    theirs = CorrectedIntegrator(
        VelocityVerlet(scaled, 0.1 * sigma / speed), trained.corrector,
        projection="energy", fallback=Fallback(),
    )  # fmt: skip
    for integrator, base in ((ours, SYSTEM), (theirs, scaled)):
        force = clone(trained.corrector_)
        force.__dict__.update(vars(trained.corrector_))
        force.dt_ = integrator.dt
        integrator.base_, integrator.corrector_ = integrator.base, force
        integrator.step_, integrator.history_ = force.bind(integrator.base), {}
        integrator.state_shape_ = (2, 17, 2)
        assert base is integrator.system
    states = samples.copy()
    stretched = samples.copy()
    stretched[:, 0] *= sigma
    stretched[:, 1] *= speed
    stretched = stretched.assign_coords(box_length=samples.box_length * sigma)
    a, b = ours.simulate(states, 3.0), theirs.simulate(stretched, 3.0 * sigma / speed)
    np.testing.assert_allclose(
        b.phase_space.values / np.array([sigma, speed])[:, None, None], a.phase_space.values,
        atol=1e-7,
    )  # fmt: skip
    np.testing.assert_array_equal(a.fallback_fraction, b.fallback_fraction)


class TestEnergyProjection:
    def test_keeps_the_energy_and_the_momentum_for_a_thousand_steps(self, samples):
        trajectory = corrected().simulate(samples, 100.0, save_every=20)
        energy = trajectory.energy.values / 16
        assert np.abs(energy - energy[:, :1]).max() < 1e-13
        assert np.abs(trajectory.momentum).max() < 1e-12
        assert (trajectory.status != 2).all()
        assert float(trajectory.fallback_fraction[:, -1].mean()) < 0.01

    def test_lets_a_moving_frame_move(self, samples):
        moving = samples.copy()
        moving[:, 1] += np.array([0.7, -0.3])
        trajectory = corrected().simulate(moving, 2.0)
        expected = 16 * np.array([0.7, -0.3])
        np.testing.assert_allclose(trajectory.momentum, np.broadcast_to(expected, (6, 21, 2)))

    @pytest.mark.filterwarnings("ignore:.*failed, the first")  # one of sixty may, see below
    def test_passes_the_turning_points_of_few_particles(self, rng):
        # released at rest, two particles come to rest again and again
        states = np.zeros((60, 2, 2, 2))
        states[:, 0, 1, 0] = rng.uniform(1.2, 2.2, size=60)
        pair = LennardJones2D(2, 0.01)
        integrator = CorrectedIntegrator(
            VelocityVerlet(pair, 0.1), GraphForce(width=0), projection="energy",
            fallback=Fallback(),
        ).fit(states[:2])  # fmt: skip
        trajectory = integrator.simulate(states, 50.0)
        assert (trajectory.status != 2).mean() > 0.97
        energy = trajectory.energy.values[trajectory.status.values != 2]
        assert np.abs(energy - energy[:, :1]).max() < 1e-10

    def test_of_magnetization_is_refused_for_particles(self):
        with pytest.raises(ValueError, match=r"projection='magnetization'.*no magnetization"):
            corrected(projection="magnetization")


def test_keeps_what_it_declares():
    integrator = CorrectedIntegrator(
        VelocityVerlet(LennardJones2D(5, 0.3), 0.1), GraphForce(width=0),
        projection="energy", fallback=Fallback(),
    ).fit(LennardJones2D(5, 0.3).random_states(2, 0))  # fmt: skip
    assert {"energy", "momentum", "rotation_equivariant"} <= integrator.guarantees
    assert "symplectic" not in integrator.guarantees
    check_integrator(integrator, max_examples=4)


def test_persists_with_its_fallback(samples, tmp_path):
    integrator = corrected(fallback=Fallback(bounds={"energy_change": (0.0, 0.001)}))
    expected = integrator.step(samples, 3)
    save(integrator, tmp_path / "a.safetensors")
    joblib.dump(integrator, tmp_path / "a.joblib")
    for again in (load(tmp_path / "a.safetensors"), joblib.load(tmp_path / "a.joblib")):
        xr.testing.assert_identical(again.step(samples, 3), expected)


def test_can_be_cross_validated(samples):
    integrator = CorrectedIntegrator(
        BASE, GraphForce(width=0), BlanesMoanRKN4(SYSTEM, 0.01), projection="energy"
    )
    for scoring in ("neg_one_step_error", "neg_energy_drift"):
        scores = cross_val_score(integrator, samples, scoring=scoring, cv=2)
        assert scores.shape == (2,) and (scores <= 0).all() and (scores > -0.1).all()


def test_labels_without_a_box_take_that_of_the_samples(samples):
    moved = samples.assign_coords(box_length=("sample", np.full(6, 9.0)))
    y = BlanesMoanRKN4(SYSTEM, 0.01).step(moved, 10)
    integrator = CorrectedIntegrator(BASE, GraphForce(width=0)).fit(moved, y.values)
    assert integrator.history_ == {"loss": []}
    with pytest.raises(ValueError, match=r"y has shape \(5, 2, 16, 2\); samples have"):
        CorrectedIntegrator(BASE, GraphForce(width=0)).fit(moved, y[:5])
