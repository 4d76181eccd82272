"""trajectory.dli: every method is the function that it names."""

import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from dlintegrate import (
    HeisenbergLattice,
    LennardJones2D,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    SuzukiTrotter2,
    VelocityVerlet,
    metrics,
    open_trajectory,
    plotting,
)
from dlintegrate.states import FAILED

LATTICE = HeisenbergLattice((4, 4, 4))
FLUID = LennardJones2D(4)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def spins_run(dt, system=LATTICE, path=None):
    start = xr.DataArray(
        system.random_states(3, 0, order=1.0),
        dims=("sample", *system.state_dims),
        coords={"temperature": ("sample", [1.0, 2.0, 1.0])},
    )
    return SuzukiTrotter2(system, dt).simulate(start, 2.0, save_every=round(0.2 / dt), path=path)


@pytest.fixture(scope="module")
def spins():
    return spins_run(0.2)


@pytest.fixture(scope="module")
def reference():
    return spins_run(0.01)


@pytest.fixture(scope="module")
def particles():
    return VelocityVerlet(FLUID, 0.01).simulate(FLUID.random_states(2, 0), 0.2, save_every=5)


def test_measures_are_those_of_the_metrics(spins, reference, particles):
    xr.testing.assert_identical(spins.dli.energy_drift(), metrics.energy_drift(spins))
    assert spins.dli.threshold_time(reference, 0.999) == metrics.threshold_time(
        spins, reference, 0.999
    )
    xr.testing.assert_identical(
        spins.dli.spin_correlation(reference), metrics.spin_correlation(spins, reference)
    )
    xr.testing.assert_identical(
        particles.dli.phase_space_distance(particles),
        metrics.phase_space_distance(particles, particles),
    )
    assert list(spins.dli.by_temperature()) == [1.0, 2.0]


def test_energy_is_drawn_for_each_sample_in_the_colour_of_its_temperature(spins):
    ax = spins.dli.plot_energy()
    colors = [curve.get_color() for curve in ax.lines]
    assert colors[0] == colors[1] != colors[2]
    order = [0, 2, 1]  # by temperature
    for curve, sample in zip(ax.lines, order, strict=True):
        np.testing.assert_array_equal(curve.get_ydata(), spins.energy[sample] / 64)
    assert len(ax.get_legend().get_texts()) == 2


def test_the_line_of_a_failed_sample_ends_where_it_failed(particles):
    run = particles.copy(deep=True)
    run["status"][1], run["failure_time"][1] = FAILED, 0.1
    lost = np.isnan(run.dli.plot_energy().lines[1].get_ydata())
    np.testing.assert_array_equal(lost, run.time.values >= 0.1)


def test_drift_is_drawn_as_by_plot_drift(particles):
    ours = particles.dli.plot_energy_drift(std=False).lines[0]
    expected = plotting.plot_drift(metrics.energy_drift(particles), std=False).lines[0]
    np.testing.assert_array_equal(ours.get_xydata(), expected.get_xydata())


def test_spins_are_drawn_as_their_lattice_demands(spins):
    assert spins.dli.spin_texture().name == "3d"
    plane = spins_run(0.2, HeisenbergLattice((4, 6)))
    ax = plane.dli.spin_texture(sample=1, time=2)
    shown = ax.collections[0].get_array()
    np.testing.assert_array_equal(shown, plane.spin[1, 2, ..., 2].values.ravel())
    # squares, not hexagons: the trajectory knows its lattice
    assert len(ax.collections[0].get_paths()[0].vertices) == 4 + 1


def test_particles_are_drawn_in_their_box(particles):
    ax = particles.dli.particles(1, time=0)
    assert ax.get_xlim() == (0, float(particles.box_length[1]))


def test_summary_tells_size_health_and_drift(particles):
    run = particles.copy(deep=True)
    lines = run.dli.summary().splitlines()
    assert lines[0].endswith("VelocityVerlet: 2 samples of 4 particles, 5 frames to t = 0.2")
    assert lines[1] == "step 0.01, a frame every 5 steps"
    assert lines[2] == "2 sound, 0 fell back, 0 failed"
    run["energy"][0, 3] += 8.0
    assert run.dli.summary().splitlines()[3] == "energy changed by at most 2 per particle"
    run["status"][0], run["failure_time"][0] = FAILED, 0.15
    assert "1 sound, 0 fell back, 1 failed; the first failed at t = 0.15" in run.dli.summary()
    assert "at most 2 per particle" not in run.dli.summary()
    run["status"][1], run["failure_time"][1] = FAILED, 0.1
    assert "no sample is left" in run.dli.summary()


def test_files_have_it_too(tmp_path):
    spins_run(0.2, path=tmp_path / "run.nc").close()
    with open_trajectory(tmp_path / "run.nc") as run:
        assert "3 samples of 64 spins" in run.dli.summary()
        assert run.attrs["lattice"] == "cubic"
    with xr.open_dataset(tmp_path / "run.nc", decode_times=False) as run:
        assert "3 samples of 64 spins" in run.dli.summary()


def test_crystals_have_it_and_no_lattice_of_spins(tmp_path):
    crystal = SpinLatticeCrystal(size=2)
    integrator = SpinLatticeSplitting(crystal, 1.0)
    run = integrator.simulate(crystal.random_states(1, 0), 2.0, path=tmp_path / "run.nc")
    with run:
        assert "1 sample of 16 atoms, 3 frames to t = 2" in run.dli.summary()
        assert "lattice" not in run.attrs
        assert run.dli.spin_texture(system=crystal).name == "3d"


@pytest.mark.parametrize(
    "call",
    [
        lambda dli: dli.summary(), lambda dli: dli.plot_energy(), lambda dli: dli.animate(),
        lambda dli: dli.spin_texture(), lambda dli: dli.energy_drift(),
        lambda dli: dli.threshold_time(None), lambda dli: dli.export("run.vtu"),
    ],
)  # fmt: skip
def test_a_dataset_that_is_no_trajectory_is_told_so(call):
    with pytest.raises(ValueError, match=r"Dataset has no variable .*\['weather'\]; pass"):
        call(xr.Dataset({"weather": 1.0}).dli)


def test_spins_have_no_particles_and_particles_no_spins(spins, particles):
    with pytest.raises(ValueError, match="no variable 'phase_space'"):
        spins.dli.particles()
    with pytest.raises(ValueError, match="'particle', 'component'\\); expected sample, time, x"):
        particles.dli.spin_texture()


def test_importing_the_library_alone_costs_neither_xarray_nor_torch():
    code = (
        "import sys, dlintegrate; "
        "heavy = {'xarray', 'torch', 'numba', 'matplotlib'} & {*sys.modules}; "
        "assert not heavy, heavy; "
        "dlintegrate.open_trajectory; "
        "import xarray; assert 'dli' in dir(xarray.Dataset); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
