"""Trajectories: schema, health of samples, streaming, resume, crashes."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
import warnings

import netCDF4
import numpy as np
import pytest
import xarray as xr

from dlintegrate import BlanesMoan4, HeisenbergLattice, ImplicitMidpoint, SuzukiTrotter2
from dlintegrate.integrators import open_trajectory
from dlintegrate.integrators.record_count import check_records
from dlintegrate.state_files import read_states

#: The two kinds of trajectories on disk; what holds for one holds for the other.
KINDS = [
    ".nc",
    pytest.param(
        ".zarr",
        marks=pytest.mark.skipif(not importlib.util.find_spec("zarr"), reason="zarr is missing"),
    ),
]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def initial(lattice):
    states = lattice.random_states(3, 0, order=1.0)
    return xr.DataArray(
        states,
        dims=("sample", "x", "y", "z", "component"),
        coords={"temperature": ("sample", [0.4, 1.0, 2.0])},
    )


def identical(a, b):
    return all((a[name].values == b[name].values).all() for name in ("spin", "energy", "time"))


def test_a_trajectory_follows_the_schema(lattice, initial):
    trajectory = SuzukiTrotter2(lattice, 0.1).simulate(initial, t_max=2.0, save_every=5)
    assert trajectory.spin.dims == ("sample", "time", "x", "y", "z", "component")
    assert trajectory.energy.dims == ("sample", "time")
    assert trajectory.magnetization.dims == ("sample", "time", "component")
    assert np.allclose(trajectory.time, [0, 0.5, 1.0, 1.5, 2.0], rtol=1e-15)
    assert (trajectory.temperature == initial.temperature).all()
    assert (trajectory.spin.isel(time=0).values == initial.values).all()
    assert (trajectory.status == 0).all() and trajectory.failure_time.isnull().all()
    assert np.allclose(trajectory.energy.isel(time=3), lattice.energy(trajectory.spin[:, 3]))
    assert np.allclose(
        trajectory.magnetization.isel(time=3), lattice.magnetization(trajectory.spin[:, 3])
    )
    assert json.loads(trajectory.attrs["integrator"])["class"] == "SuzukiTrotter2"
    assert trajectory.energy.attrs["units"] == "1"


def test_a_frame_is_what_step_gives(lattice, initial):
    integrator = BlanesMoan4(lattice, 0.1)
    trajectory = integrator.simulate(initial, t_max=0.8, save_every=4)
    step = integrator.step(integrator.step(initial, 4), 4)
    assert (trajectory.spin.isel(time=-1).values == step.values).all()


def test_samples_that_were_frames_do_not_bring_their_times_and_energies(lattice, initial, tmp_path):
    step = SuzukiTrotter2(lattice, 0.1)
    run = step.simulate(initial, t_max=1.0, save_every=5)
    frames = xr.concat(
        [run.spin.isel(time=1), run.spin.isel(time=2)],
        "sample",
        coords="different",
        compat="equals",
    )
    frames = frames.assign_coords(energy=("sample", np.arange(6.0)), age=("sample", np.arange(6)))
    again = step.simulate(frames, t_max=0.5)
    np.testing.assert_allclose(again.time, 0.1 * np.arange(6))
    assert again.energy.dims == ("sample", "time") and again.age.dims == ("sample",)
    assert identical(step.simulate(frames, t_max=0.5, path=tmp_path / "run.nc"), again)


def test_going_back_in_time_returns_to_the_start(lattice, initial):
    there = SuzukiTrotter2(lattice, 0.1).simulate(initial, t_max=3.0, save_every=30)
    back = SuzukiTrotter2(lattice, -0.1).simulate(there.spin[:, -1], t_max=-3.0, save_every=30)
    assert np.abs(back.spin[:, -1] - initial).max() < 1e-12
    assert back.time[-1] == -3.0


def test_a_sample_that_fails_is_frozen_and_named_and_the_rest_go_on():
    """The midpoint iteration diverges at dt = 1 for disordered spins, not for aligned ones."""
    system = HeisenbergLattice(shape=4)
    states = system.random_states(3, 0)
    states[1] = [0.0, 0.0, 1.0]
    with pytest.warns(RuntimeWarning, match="samples 0, 2"):
        trajectory = ImplicitMidpoint(system, 1.0).simulate(states, t_max=3.0)
    assert trajectory.status.values.tolist() == [2, 0, 2]
    assert trajectory.failure_time.values[[0, 2]].tolist() == [1.0, 1.0]
    assert np.isnan(trajectory.failure_time.values[1])
    assert (trajectory.spin[0] == states[0]).all() and np.isfinite(trajectory.spin).all()
    assert trajectory.status.attrs["flag_meanings"] == "ok fell_back failed"


class TestStreaming:
    def test_the_file_holds_what_memory_would(self, lattice, initial, kind, tmp_path):
        integrator = SuzukiTrotter2(lattice, 0.1)
        kept = integrator.simulate(initial, 5.0, save_every=2)
        streamed = integrator.simulate(initial, 5.0, save_every=2, path=tmp_path / f"run{kind}")
        xr.testing.assert_identical(kept, streamed.load())
        xr.testing.assert_identical(kept, open_trajectory(tmp_path / f"run{kind}").load())

    def test_any_reader_of_the_format_opens_it(self, lattice, initial, kind, tmp_path):
        SuzukiTrotter2(lattice, 0.1).simulate(initial, 1.0, path=tmp_path / f"run{kind}")
        with warnings.catch_warnings(action="error"):
            plain = xr.open_dataset(tmp_path / f"run{kind}")
        with plain:
            assert plain.spin.sizes["time"] == 11 and "temperature" in plain.coords

    def test_variables_are_read_when_they_are_used(self, lattice, initial, kind, tmp_path):
        streamed = SuzukiTrotter2(lattice, 0.1).simulate(initial, 1.0, path=tmp_path / f"run{kind}")
        assert not streamed.spin.variable._in_memory

    def test_resume_continues_bit_for_bit(self, lattice, initial, kind, tmp_path):
        integrator = BlanesMoan4(lattice, 0.1)
        whole = integrator.simulate(initial, 6.0, save_every=3, path=tmp_path / f"whole{kind}")
        integrator.simulate(initial, 2.1, save_every=3, path=tmp_path / f"parts{kind}").close()
        parts = integrator.resume(tmp_path / f"parts{kind}", 6.0)
        assert identical(whole, parts)
        assert identical(parts, integrator.resume(tmp_path / f"parts{kind}", 6.0)), (
            "nothing left to do"
        )

    def test_resume_remembers_failed_samples(self, kind, tmp_path):
        system = HeisenbergLattice(shape=4)
        states = system.random_states(2, 0)
        states[1] = [0.0, 0.0, 1.0]
        integrator = ImplicitMidpoint(system, 1.0)
        with pytest.warns(RuntimeWarning):
            integrator.simulate(states, 2.0, path=tmp_path / f"run{kind}").close()
        with pytest.warns(RuntimeWarning):
            resumed = integrator.resume(tmp_path / f"run{kind}", 5.0)
        assert resumed.status.values.tolist() == [2, 0]
        assert resumed.failure_time.values[0] == 1.0 and resumed.sizes["time"] == 6

    def test_memory_does_not_grow_with_the_run(self, lattice, initial, kind, tmp_path, monkeypatch):
        """Frames are handed over in chunks: the buffer never holds more than one."""
        from dlintegrate.integrators import simulation

        monkeypatch.setattr(simulation, "CHUNK_BYTES", 20_000)
        largest = 0
        record = simulation._Stream.record

        def watched(self, run):
            nonlocal largest
            record(self, run)
            largest = max(largest, self.bytes)

        monkeypatch.setattr(simulation._Stream, "record", watched)
        SuzukiTrotter2(lattice, 0.1).simulate(initial, 10.0, path=tmp_path / f"run{kind}")
        assert largest <= 20_000

    def test_another_integrator_may_not_continue(self, lattice, initial, kind, tmp_path):
        SuzukiTrotter2(lattice, 0.1).simulate(initial, 1.0, path=tmp_path / f"run{kind}").close()
        with pytest.raises(ValueError, match="written by another integrator"):
            SuzukiTrotter2(lattice, 0.05).resume(tmp_path / f"run{kind}", 2.0)

    def test_an_existing_file_is_never_overwritten(self, lattice, initial, kind, tmp_path):
        (tmp_path / f"run{kind}").write_text("precious")
        with pytest.raises(FileExistsError, match=r"run\..*resume"):
            SuzukiTrotter2(lattice, 0.1).simulate(initial, 1.0, path=tmp_path / f"run{kind}")
        assert (tmp_path / f"run{kind}").read_text() == "precious"

    @pytest.mark.skipif(not importlib.util.find_spec("zarr"), reason="zarr is missing")
    def test_stores_that_are_no_trajectories(self, lattice, tmp_path):
        integrator = SuzukiTrotter2(lattice, 0.1)
        (tmp_path / "empty.zarr").mkdir()
        with pytest.raises(OSError, match=r"empty\.zarr is not a readable zarr"):
            integrator.resume(tmp_path / "empty.zarr", 1.0)
        with pytest.raises(FileNotFoundError, match=r"absent\.zarr"):
            integrator.resume(tmp_path / "absent.zarr", 1.0)
        xr.Dataset({"a": ("x", [1.0])}).to_zarr(tmp_path / "other.zarr", zarr_format=2)
        with pytest.raises(OSError, match="not a trajectory"):
            integrator.resume(tmp_path / "other.zarr", 1.0)

    def test_without_zarr_one_error_names_the_remedy(self, lattice, initial, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "zarr", None)
        with pytest.raises(ImportError, match=r'pip install "dlintegrate\[zarr\]"'):
            SuzukiTrotter2(lattice, 0.1).simulate(initial, 1.0, path=tmp_path / "run.zarr")
        assert not list(tmp_path.iterdir())

    @pytest.mark.skipif(not importlib.util.find_spec("zarr"), reason="zarr is missing")
    def test_frames_share_chunks_and_large_ones_are_split(
        self, lattice, initial, tmp_path, monkeypatch
    ):
        from dlintegrate.integrators import trajectory_store

        integrator = SuzukiTrotter2(lattice, 0.1)
        kept = integrator.simulate(initial, 5.0)
        for size, files in ((30_000, 51 // 6 + 1), (3_000, 51 * 3)):  # a frame has 4608 bytes
            monkeypatch.setattr(trajectory_store, "CHUNK_BYTES", size)
            path = tmp_path / f"{size}.zarr"
            xr.testing.assert_identical(kept, integrator.simulate(initial, 5.0, path=path).load())
            assert len(list((path / "spin").glob("[0-9]*"))) == files

    def test_files_that_are_no_trajectories(self, lattice, tmp_path):
        (tmp_path / "text.nc").write_text("not netCDF")
        integrator = SuzukiTrotter2(lattice, 0.1)
        with pytest.raises(OSError, match=r"text\.nc is not a readable netCDF"):
            integrator.resume(tmp_path / "text.nc", 1.0)
        with pytest.raises(FileNotFoundError, match=r"absent\.nc"):
            integrator.resume(tmp_path / "absent.nc", 1.0)
        xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc")
        with pytest.raises(OSError, match="not a trajectory"):
            integrator.resume(tmp_path / "other.nc", 1.0)

    def test_a_folder_that_does_not_exist(self, lattice, initial, tmp_path):
        with pytest.raises(OSError, match="nowhere"):
            SuzukiTrotter2(lattice, 0.1).simulate(
                initial, 1.0, path=tmp_path / "nowhere" / "run.nc"
            )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files that differ in length alone: bytes of 11 frames, and of 21."""
    folder, system = tmp_path_factory.mktemp("files"), HeisenbergLattice(4)
    for t_max in (1.0, 2.0):
        SuzukiTrotter2(system, 0.1).simulate(
            system.random_states(2, 0), t_max, path=folder / f"{t_max}.nc"
        ).close()
    return [(folder / f"{t_max}.nc").read_bytes() for t_max in (1.0, 2.0)]


class TestTruncation:
    """The netCDF library reads what is missing as zeros, or as what was in its buffer before."""

    @pytest.mark.parametrize("place, n_frames", [
        (0.01, 0), (1.0, 11), (1.05, 11), (1.1, 12), (1.999999, 20),
    ])  # fmt: skip
    def test_what_is_missing_is_told(self, files, tmp_path, place, n_frames):
        """The place counts in lengths of the shorter file up to 1, then in ten frames."""
        shorter, longer = map(len, files)
        size = np.interp(place, [0.0, 1.0, 2.0], [0, shorter, longer])
        path = tmp_path / "cut.nc"
        path.write_bytes(files[1][: int(size)])
        told = rf"cut\.nc is truncated: {n_frames} complete frames of 21; restore"
        if place == 0.01:
            told = r"cut\.nc is truncated or damaged in its header; restore"
        with pytest.raises(OSError, match=told):
            open_trajectory(path)
        with pytest.raises(OSError, match=told):
            SuzukiTrotter2(HeisenbergLattice(4), 0.1).resume(path, 3.0)
        with pytest.raises(ValueError, match=told):
            read_states(path)
        assert path.stat().st_size == int(size)

    def test_a_run_does_not_go_on_from_states_that_cannot_be(self, files, tmp_path):
        """As after a power failure, which may leave the right length and zeros."""
        path = tmp_path / "zeros.nc"
        path.write_bytes(files[1][: len(files[0])].ljust(len(files[1]), b"\0"))
        with pytest.raises(ValueError, match=r"zeros\.nc is damaged: its last frame.*restore"):
            SuzukiTrotter2(HeisenbergLattice(4), 0.1).resume(path, 3.0)

    @pytest.mark.parametrize("dtypes", [("i1",), ("i2", "f8"), ("f8", "i1"), ()])
    def test_files_of_others_are_measured_with_their_padding(self, tmp_path, dtypes):
        path = tmp_path / "other.nc"
        with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as nc:
            nc.title = "odd"
            nc.createDimension("time", None)
            nc.createDimension("x", 3)
            nc.createVariable("fixed", "f4", ("x",))[:] = 1
            for k, dtype in enumerate(dtypes):
                nc.createVariable(f"v{k}", dtype, ("time", "x"))[:] = np.ones((5, 3))
        check_records(path)
        path.write_bytes(path.read_bytes()[: -2 if dtypes else None])
        if dtypes:
            with pytest.raises(OSError, match="truncated: 4 complete frames of 5"):
                check_records(path)


RUN = """
import sys
from dlintegrate import HeisenbergLattice, SuzukiTrotter2
from dlintegrate.integrators import simulation
simulation.CHUNK_BYTES = 30_000
system = HeisenbergLattice(4)
integrator = SuzukiTrotter2(system, 0.1)
states = system.random_states(2, 5)
integrator.step(states)  # compile
print("started", flush=True)
integrator.simulate(states, 1e9, path=sys.argv[1])
"""


def start_endless_run(path):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "started\n", process.stderr.read()
    while not path.exists():
        time.sleep(0.001)
    return process


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    system = HeisenbergLattice(4)
    path = tmp_path_factory.mktemp("whole") / "whole.nc"
    return SuzukiTrotter2(system, 0.1).simulate(system.random_states(2, 5), 600.0, path=path)


def check_prefix_and_resume(path, uninterrupted):
    with open_trajectory(path) as killed:
        n = killed.sizes["time"]
        assert (killed.spin.values == uninterrupted.spin[:, :n].values).all()
    resumed = SuzukiTrotter2(HeisenbergLattice(4), 0.1).resume(path, 600.0)
    assert identical(resumed, uninterrupted)
    return n


@pytest.mark.parametrize(
    ("kind", "delay"),
    [(".nc", 0.0), (".nc", 0.05), (".nc", 0.2), pytest.param(".zarr", 0.05, marks=KINDS[1].marks)],
)
def test_kill_9_leaves_a_readable_file_and_resume_is_exact(tmp_path, uninterrupted, kind, delay):
    path = tmp_path / f"killed{kind}"
    process = start_endless_run(path)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("*.part")), "no temporary file stays behind"
    with open_trajectory(path) as killed:
        assert killed.sizes["time"] < 6001, "killed too late for the comparison"
    check_prefix_and_resume(path, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_kill_9_at_random_moments(tmp_path, uninterrupted, kind, seed):
    delay = np.random.default_rng(seed).uniform(0, 0.4)
    test_kill_9_leaves_a_readable_file_and_resume_is_exact(tmp_path, uninterrupted, kind, delay)


def test_a_file_is_readable_while_it_is_written(tmp_path, kind):
    path = tmp_path / f"growing{kind}"
    process = start_endless_run(path)
    sizes = []
    while len(sizes) < 50 or sizes[-1] == sizes[0]:
        with open_trajectory(path) as growing:
            sizes.append(growing.sizes["time"])
            assert abs(growing.spin[:, -1].values).max() > 0.5
    process.kill()
    process.communicate()
    assert sizes == sorted(sizes)


def test_ctrl_c_writes_what_was_computed(tmp_path, uninterrupted, kind):
    path = tmp_path / f"stopped{kind}"
    process = start_endless_run(path)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert check_prefix_and_resume(path, uninterrupted) > 1


FULL_DISK = """
import resource, sys
import numpy as np
from dlintegrate import HeisenbergLattice, SuzukiTrotter2
from dlintegrate.integrators import simulation
simulation.CHUNK_BYTES = 30_000
system = HeisenbergLattice(4)
integrator = SuzukiTrotter2(system, 0.1)
states = system.random_states(2, 5)
expected = integrator.simulate(states, 20.0).spin.values
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in range(45_000, 200_000, 7_777):
    path = f"{sys.argv[1]}/{limit}{sys.argv[2]}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
    try:
        integrator.simulate(states, 20.0, path=path)
    except OSError as error:
        assert "cannot write the trajectory" in str(error) and "resume()" in str(error), error
        assert f"{limit}{sys.argv[2]}" in str(error), error
    else:
        raise AssertionError("the limit was not reached")
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    with simulation.open_trajectory(path) as kept:
        n = kept.sizes["time"]
        assert 1 <= n < 201 and (kept.spin.values == expected[:, :n]).all(), (limit, n)
    resumed = integrator.resume(path, 20.0)
    assert (resumed.spin.values == expected).all(), limit
print("done")
"""


def test_a_full_disk_gives_one_clear_error_and_keeps_what_was_written(tmp_path, kind):
    """A limit on the size of files, at many sizes, stands in for the disk."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), kind], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr


class TestBadInput:
    @pytest.mark.parametrize("t_max", [np.nan, np.inf, -1.0, "long"])
    def test_t_max(self, lattice, initial, t_max):
        with pytest.raises(ValueError, match="t_max="):
            SuzukiTrotter2(lattice, 0.1).simulate(initial, t_max)

    @pytest.mark.parametrize("save_every", [0, -1, 1.5])
    def test_save_every(self, lattice, initial, save_every):
        with pytest.raises(ValueError, match="save_every="):
            SuzukiTrotter2(lattice, 0.1).simulate(initial, 1.0, save_every=save_every)

    def test_dimensions_of_other_names(self, lattice):
        states = xr.DataArray(lattice.random_states(1, 0))
        with pytest.raises(
            ValueError, match=r"initial has dimensions \('dim_0', .*expected \('sam"
        ):
            SuzukiTrotter2(lattice, 0.1).simulate(states, 1.0)

    def test_initial(self, lattice, initial):
        with pytest.raises(ValueError, match="initial has NaN"):
            SuzukiTrotter2(lattice, 0.1).simulate(initial.where(initial.temperature > 0.5), 1.0)
