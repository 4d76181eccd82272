"""Training trajectories: exact fields in one file, continued bit for bit, drawn for a fit."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from dlintegrate import (
    ExactDiagonalization,
    HeisenbergLattice,
    SemiImplicitB,
    TriangularSDModel,
    open_trajectory,
    skyrmion_lattice,
)
from dlintegrate.metrics import topological_charge
from dlintegrate.sampling import sample_relaxation, torque_samples

pytestmark = pytest.mark.filterwarnings("ignore:.*period of 12 sites")
SMALL = TriangularSDModel((6, 6), solver=ExactDiagonalization())
#: Cheap spins on a lattice that holds the texture.
CHEAP = HeisenbergLattice((12, 12), J=0.1)
SHORT = {"n_trajectories": 2, "n_skyrmion": 0, "n_frames": 4, "save_every": 2}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("relaxation") / "small.nc"
    return sample_relaxation(SMALL, path, **SHORT), path


def same(first, second):
    return all(
        np.array_equal(first[name], second[name]) for name in ("spin", "field", "energy", "time")
    )


def test_records_spins_and_the_exact_field_on_them(small):
    trajectories, _ = small
    assert trajectories.field.dims == ("sample", "time", "x", "y", "component")
    np.testing.assert_array_equal(trajectories.time, [0, 2, 4, 6])
    frame = trajectories.isel(time=2)
    np.testing.assert_allclose(frame.field, SMALL.local_field(frame.spin), atol=1e-12)
    np.testing.assert_allclose(frame.energy, SMALL.energy(frame.spin), atol=1e-10)
    step = SemiImplicitB(SMALL, 1.0, 0.05, drop_longitudinal=True)
    np.testing.assert_array_equal(frame.spin, step.step(trajectories.spin[:, 0].values, 4))
    assert (trajectories.energy.diff("time") < 0).all()


def test_half_of_the_starts_are_skyrmion_lattices(tmp_path):
    options = {"n_frames": 1, "perturbation": 0.01}
    found = sample_relaxation(CHEAP, tmp_path / "a.nc", 5, **options)
    np.testing.assert_array_equal(found.skyrmion_start, [1, 1, 1, 0, 0])
    distance = np.abs(found.spin[:, 0] - skyrmion_lattice((12, 12))).mean(("x", "y", "component"))
    np.testing.assert_array_equal(distance < 0.1, [True, True, True, False, False])
    assert np.unique(found.spin[:, 0, 1, 2, 2]).size == 5
    more = sample_relaxation(CHEAP, tmp_path / "b.nc", 6, **options)
    np.testing.assert_array_equal(more.spin[:3], found.spin[:3])


def test_perturbed_lattices_start_in_order_unless_asked_not_to(tmp_path):
    options = {"n_skyrmion": 2, "n_frames": 1, "perturbation": 0.05}
    ordered = sample_relaxation(CHEAP, tmp_path / "a.nc", 2, **options)
    np.testing.assert_allclose(np.abs(topological_charge(ordered.spin)), 3, atol=1e-9)
    sample_relaxation(CHEAP, tmp_path / "b.nc", 2, offset=0.0, **options).close()
    with pytest.raises(ValueError, match=r"started from other spins.*offset"):
        sample_relaxation(CHEAP, tmp_path / "b.nc", 2, **options)


def test_labels_may_come_from_another_solver_than_the_dynamics(tmp_path, small):
    averaged = ExactDiagonalization(n_twists=2)
    labelled = sample_relaxation(SMALL, tmp_path / "a.nc", label_solver=averaged, **SHORT)
    np.testing.assert_array_equal(labelled.spin, small[0].spin)
    np.testing.assert_array_equal(labelled.energy, small[0].energy)
    other = TriangularSDModel((6, 6), solver=averaged)
    np.testing.assert_allclose(
        labelled.field[:, 1], other.local_field(labelled.spin[:, 1]), atol=1e-12
    )
    assert np.abs(labelled.field - small[0].field).max() > 1e-3


def test_threads_change_nothing(tmp_path, small):
    threaded = sample_relaxation(SMALL, tmp_path / "a.nc", n_jobs=2, **SHORT)
    assert same(threaded, small[0])
    assert threaded.attrs["fingerprint"] == small[0].attrs["fingerprint"]


def test_called_again_it_returns_or_continues_the_file(tmp_path, small):
    path = tmp_path / "a.nc"
    sample_relaxation(SMALL, path, **{**SHORT, "n_frames": 2}).close()
    with sample_relaxation(SMALL, path, n_jobs=2, **SHORT) as continued:
        assert same(continued, small[0])
    before = path.read_bytes()
    with sample_relaxation(SMALL, path, **SHORT) as again:
        assert same(again, small[0])
    assert path.read_bytes() == before


KILLED = """
import os, signal, sys
from dlintegrate import ExactDiagonalization, TriangularSDModel
from dlintegrate.integrators import simulation
from dlintegrate.sampling import relaxation
simulation.CHUNK_SECONDS = 0.0
calls, observables = 0, relaxation.LabelledModel.observables
def deadly(self, array):
    global calls
    calls += 1
    if calls == 4:  # the last frame
        os.kill(os.getpid(), signal.SIGKILL)
    return observables(self, array)
relaxation.LabelledModel.observables = deadly
model = TriangularSDModel((6, 6), solver=ExactDiagonalization())
relaxation.sample_relaxation(
    model, sys.argv[1], n_trajectories=2, n_skyrmion=0, n_frames=4, save_every=2
)
"""


def test_killed_in_the_middle_of_a_frame_it_loses_that_frame_only(tmp_path, small):
    path = tmp_path / "killed.nc"
    done = subprocess.run([sys.executable, "-c", KILLED, path], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with open_trajectory(path) as killed:
        assert killed.sizes["time"] == 3
        assert same(killed, small[0].isel(time=slice(3)))
    with sample_relaxation(SMALL, path, **SHORT) as continued:
        assert same(continued, small[0])


class TestTorqueSamples:
    def test_are_all_frames_by_default(self, small):
        trajectories, path = small
        spins, fields = torque_samples(path)
        np.testing.assert_array_equal(spins, trajectories.spin.values.reshape(-1, 6, 6, 3))
        np.testing.assert_array_equal(fields, trajectories.field.values.reshape(-1, 6, 6, 3))

    def test_split_by_trajectory(self, small):
        spins, _ = torque_samples(small[0].isel(sample=[1]))
        np.testing.assert_array_equal(spins, small[0].spin[1])

    def test_draw_each_frame_once_before_any_twice(self, small):
        for n, least, most in ((5, 0, 1), (8, 1, 1), (11, 1, 2)):
            spins, fields = torque_samples(small[0], n, random_state=0)
            assert len(spins) == len(fields) == n
            counts = np.unique(spins[:, 0, 0, 0], return_counts=True)[1]
            assert counts.max() == most and len(counts) == (n if least == 0 else 8)

    def test_draw_the_calm_frames_more_often(self, tmp_path):
        found = sample_relaxation(CHEAP, tmp_path / "a.nc", 2, dt=2.0, n_frames=20, damping=0.5)

        def torques(**options):
            spins, fields = torque_samples(found, 40, random_state=1, **options)
            return np.sqrt(np.square(np.cross(spins, fields)).sum(-1).mean(axis=(1, 2)))

        every, quarter = torques(), np.quantile(torques(), 0.25)
        assert (torques(near_relaxed=1.0) <= quarter).all()
        half = torques(near_relaxed=0.5)
        assert len(half) == len(every) == 40
        assert (half <= quarter).sum() == pytest.approx(20 + 5, abs=4)

    def test_leave_out_what_failed(self, small):
        trajectories = small[0].load().copy(deep=True)
        trajectories["failure_time"].values[:] = [np.nan, 4.0]
        spins, _ = torque_samples(trajectories)
        np.testing.assert_array_equal(spins[4:], small[0].spin[1, :2])

    def test_refuse_bad_input(self, small):
        for options in ({"n": 0}, {"n": 1.5}, {"near_relaxed": 1.5}, {"near_relaxed": "much"}):
            with pytest.raises(ValueError, match=f"{next(iter(options))}="):
                torque_samples(small[0], **options)
        with pytest.raises(ValueError, match="variables spin and field"):
            torque_samples(small[0].drop_vars("field"))
        with pytest.raises(ValueError, match="dimensions sample and time"):
            torque_samples(small[0].isel(sample=0))


class TestBadInput:
    @pytest.mark.parametrize(
        "options",
        [
            {"n_trajectories": 0}, {"n_skyrmion": 3}, {"n_skyrmion": -1}, {"perturbation": -0.1},
            {"n_frames": 0}, {"save_every": 0}, {"random_state": None}, {"damping": -1.0},
            {"offset": np.nan},
        ],
        ids=lambda options: next(iter(options)),
    )  # fmt: skip
    def test_arguments(self, tmp_path, options):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            sample_relaxation(SMALL, tmp_path / "a.nc", **{**SHORT, **options})
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"save_every": 3}, "save_every=3: .*has save_every=2"),
            ({"n_frames": 3}, "n_frames=3: .*has 4 already"),
            ({"n_trajectories": 3}, "started from other spins"),
            ({"random_state": 1}, "started from other spins"),
            ({"dt": 0.5}, "written by another integrator"),
            ({"label_solver": ExactDiagonalization(2)}, "written by another integrator"),
        ],
    )
    def test_a_file_made_with_other_arguments(self, small, options, message):
        with pytest.raises(ValueError, match=message):
            sample_relaxation(SMALL, small[1], **{**SHORT, **options})

    def test_a_lattice_that_holds_no_skyrmions(self, tmp_path):
        with pytest.raises(ValueError, match="multiples of 12"):
            sample_relaxation(SMALL, tmp_path / "a.nc")
