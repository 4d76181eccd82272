"""The command line: files in, files out, errors in one line, exit codes."""

import contextlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    DeepSpinPotential,
    ElementaryDifferentialResidue,
    EquivariantTorque,
    GraphForce,
    HeisenbergLattice,
    LearnedPotential,
    LennardJones2D,
    RollOut,
    SeriesTorque,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    SuzukiTrotter2,
    TorqueCNN,
    UNetResidue,
    VelocityVerlet,
    list_pretrained,
    load,
    load_pretrained,
    open_trajectory,
    sample_canonical,
    sample_langevin,
    save,
)
from dlintegrate.cli import main
from dlintegrate.cli.checkpoints import fit_with_checkpoints
from dlintegrate.metrics import (
    energy_drift,
    one_step_error,
    reference_integrator,
    spin_correlation,
    threshold_time,
)
from dlintegrate.persistence import fingerprint
from dlintegrate.state_files import read_states, write_states

SYSTEM = HeisenbergLattice(shape=(4, 4, 4))
FIT = """
seed = 3
projection = ["energy"]
[system]
class = "HeisenbergLattice"
shape = [4, 4, 4]
[base]
class = "SuzukiTrotter2"
dt = 0.1
[reference]
class = "BlanesMoan4"
dt = 0.05
[corrector]
class = "ElementaryDifferentialResidue"
order = 3
[samples]
file = "samples.nc"
"""
CLASSICAL = """
[system]
class = "HeisenbergLattice"
shape = [4, 4, 4]
[integrator]
class = "BlanesMoan4"
dt = 0.1
"""


def run(*arguments):
    """Exit code of a command."""
    return main([str(argument) for argument in arguments])


def particles(states):
    """Two particles in a box of side 10."""
    dims = ("sample", "variable", "particle", "component")
    coords = {"box_length": ("sample", [10.0, 10.0])}
    return xr.DataArray(states, dims=dims, coords=coords, name="phase_space")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with samples and TOML files."""
    monkeypatch.chdir(tmp_path)
    write_states(sample_canonical(SYSTEM, [0.4, 1.44], 2, random_state=0), "samples.nc")
    (tmp_path / "fit.toml").write_text(FIT)
    (tmp_path / "classical.toml").write_text(CLASSICAL)
    return tmp_path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The quick demo, run once; returns its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "results"
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()),
    ):
        assert main(["demo", "--quick", "--seed", "1", "--output", str(folder)]) == 0
    return folder, out.getvalue()


def test_the_demo_writes_what_it_promises(demo):
    folder, printed = demo
    assert {p.name for p in folder.iterdir()} == {
        "trajectory.nc", "demo.png", "corrected.safetensors",
    }  # fmt: skip
    assert all(name in printed for name in ("trajectory.nc", "demo.png", "corrected.safetensors"))
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    with xr.open_dataset(folder / "trajectory.nc") as trajectory:
        assert (trajectory.temperature == 1.44).all() and (trajectory.status == 0).all()
        states = trajectory.spin.isel(time=0)
        corrected = load(folder / "corrected.safetensors")
        again = corrected.simulate(states, 1.0, save_every=2)
        assert (again.spin.values == trajectory.spin[:6].transpose("sample", ...).values).all()


def test_the_table_shows_what_physics_demands(demo):
    """Corrections beat their base; every energy is at rounding; classical rivals are listed."""
    lines = demo[1].splitlines()
    rows = {line[:24].strip(): line[24:].split() for line in lines if "e-" in line}
    assert len(rows) == 6 and sum("Blanes-Moan" in name for name in rows) == 2

    def first(name):
        return float(" ".join(rows[name]).replace(">", "").split()[0])

    bare = first("ST2, dt 0.1 (bare)")
    assert first("ridge on trees") > 1.5 * bare
    assert first("learned composition") > 1.5 * bare
    assert all(float(row[-3]) < 1e-12 for row in rows.values()), "energy per site"


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["--version"]])
def test_help_and_version(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "dlintegrate" in out
    if arguments == ["demo", "--help"]:
        assert all(option in out for option in ("--output", "--seed", "--quick"))


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["demo", "--seed", "-1"]])
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err


class TestSample:
    def test_the_file_holds_what_the_library_draws(self, folder):
        words = "heisenberg --shape 4 4 4 --temperature 0.4 1.44 -n 2 --seed 7 -o drawn.nc"
        assert run("sample", *words.split()) == 0
        expected = sample_canonical(SYSTEM, [0.4, 1.44], 2, random_state=7)
        with xr.open_dataarray("drawn.nc") as plain:
            assert plain.dims == expected.dims and plain.name == "spin"
        drawn = read_states("drawn.nc")
        assert (drawn.values == expected.values).all()
        assert (drawn.temperature.values == expected.temperature.values).all()
        assert json.loads(drawn.attrs["parameters"]) == json.loads(expected.attrs["parameters"])

    def test_a_toml_file_names_any_sampling_function_and_options_replace_its_values(self, folder):
        (folder / "draw.toml").write_text(
            '[system]\nclass = "TriangularSDModel"\nshape = [24, 24]\n'
            '[samples]\nfunction = "skyrmion_lattice"\nn_samples = 5\n'
        )
        words = "draw.toml --shape 12 12 -n 2 --set samples.offset=0.1 -o drawn.nc"
        assert run("sample", *words.split()) == 0
        assert read_states("drawn.nc").shape == (2, 12, 12, 3)

    def test_particles_keep_their_boxes(self, folder):
        words = "lennard-jones --n-particles 8 --density 0.2 --temperature 1 -n 2"
        assert run("sample", *words.split(), "--set", "samples.n_sweeps=5", "-o", "p.nc") == 0
        particles = read_states("p.nc")
        assert np.allclose(particles.box_length, np.sqrt(8 / 0.2))
        assert particles["variable"].values.tolist() == ["position", "momentum"]

    def test_crystals_are_drawn_by_langevin_dynamics_and_simulated(self, folder):
        words = "crystal --temperature 50 300 -n 1 --seed 3 -o atoms.nc"
        options = ["--set", "system.size=2", "--set", "samples.duration=20.0"]
        assert run("sample", *words.split(), *options) == 0
        iron = SpinLatticeCrystal(size=2)
        expected = sample_langevin(iron, [50.0, 300.0], 1, duration=20.0, random_state=3)
        drawn = read_states("atoms.nc")
        np.testing.assert_array_equal(drawn, expected)
        assert drawn.temperature.values.tolist() == [50.0, 300.0]
        assert drawn["variable"].values.tolist() == ["position", "momentum", "spin"]
        (folder / "atoms.toml").write_text(
            '[system]\nclass = "SpinLatticeCrystal"\nsize = 2\n'
            '[integrator]\nclass = "SpinLatticeSplitting"\ndt = 1.0\n'
            "[samples]\ntemperature = 50\nn_samples = 1\nduration = 4.0\n"
        )
        assert run("simulate", "atoms.toml", "atoms.nc", "--t-max", 5, "-o", "run.nc") == 0
        with open_trajectory("run.nc") as trajectory:
            last = SpinLatticeSplitting(iron, 1.0).step(expected, 5)
            np.testing.assert_array_equal(trajectory.phase_space.isel(time=-1), last)
        assert run("sample", "atoms.toml", "-o", "more.nc") == 0
        assert read_states("more.nc").shape == (1, 3, 16, 3)

    @pytest.mark.slow
    def test_relaxation_is_drawn_into_a_file_that_fit_learns_fields_from(self, folder):
        (folder / "field.toml").write_text(
            '[system]\nclass = "TriangularSDModel"\nshape = [12, 12]\n'
            '[samples]\nfunction = "sample_relaxation"\nn_frames = 2\nn_trajectories = 1\n'
            "save_every = 1\n"
            '[system.solver]\nclass = "ExactDiagonalization"\n'
            '[base]\nclass = "SemiImplicitB"\ndt = 1.0\ndamping = 0.05\n'
            '[corrector]\nclass = "TorqueCNN"\nwidths = [4]\nkernel_size = 3\n'
            '[corrector.training]\nclass = "FieldTraining"\nepochs = 1\n'
        )
        assert run("sample", "field.toml", "-o", "relax.nc") == 0
        words = '--set samples={file="relax.nc"} -o field.safetensors'
        assert run("fit", "field.toml", *words.split()) == 0
        assert load("field.safetensors").corrector_.target == "field"
        assert run("simulate", "field.safetensors", "relax.nc", "--t-max", 1, "-o", "r.nc") == 0

    def test_a_file_is_replaced_only_on_request_and_resume_knows_what_it_holds(
        self, folder, capsys
    ):
        words = "heisenberg --shape 4 4 --temperature 2 -n 1 -o samples.nc".split()
        assert run("sample", *words) == 2
        assert "--overwrite replaces it" in capsys.readouterr().err
        assert run("sample", *words, "--resume") == 2
        assert "holds other samples" in capsys.readouterr().err
        assert run("sample", *words, "--overwrite") == 0
        assert read_states("samples.nc").shape == (1, 4, 4, 3)
        assert run("sample", *words, "--resume") == 0
        assert "nothing left to do" in capsys.readouterr().out


class TestFit:
    def test_the_file_is_what_the_library_would_fit(self, folder):
        assert run("fit", "fit.toml", "-o", "c.safetensors", "--jobs", 2) == 0
        expected = CorrectedIntegrator(
            SuzukiTrotter2(SYSTEM, 0.1), ElementaryDifferentialResidue(order=3),
            BlanesMoan4(SYSTEM, 0.05), projection=("energy",), random_state=3,
        ).fit(read_states("samples.nc"))  # fmt: skip
        assert fingerprint(load("c.safetensors")) == fingerprint(expected)

    def test_samples_can_be_drawn_on_the_way(self, folder):
        words = "--set samples={temperature=[1.0],n_samples=4} --seed 5 -o c.safetensors"
        assert run("fit", "fit.toml", *words.split()) == 0
        samples = sample_canonical(SYSTEM, 1.0, 4, random_state=5)
        fitted = load("c.safetensors")
        assert (fitted.step(samples) == load("c.safetensors").fit(samples).step(samples)).all()

    def test_resume_of_a_finished_fit_knows_its_samples(self, folder, capsys):
        drawn = "--set samples={temperature=[1.0],n_samples=%d} -o c.safetensors"
        assert run("fit", "fit.toml", *(drawn % 2).split()) == 0
        assert run("fit", "fit.toml", *(drawn % 2).split(), "--resume") == 0
        assert run("fit", "fit.toml", *(drawn % 3).split(), "--resume") == 2
        assert "was fitted to other samples" in capsys.readouterr().err
        assert run("fit", "fit.toml", "-o", "file.safetensors") == 0
        words = "heisenberg --shape 4 4 4 --temperature 2 -n 4 -o samples.nc --overwrite"
        assert run("sample", *words.split()) == 0
        assert run("fit", "fit.toml", "-o", "file.safetensors", "--resume") == 2

    def test_a_checkpoint_is_kept_until_the_result_is_written(self, folder, monkeypatch, capsys):
        import dlintegrate

        network = [
            "--set", "projection=norm", "--set",
            'corrector={class="UNetResidue",width=4,depth=1,epochs=1}',
        ]  # fmt: skip

        def full(*arguments):
            raise OSError("No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(dlintegrate, "save", full)
            assert run("fit", "fit.toml", "-o", "c.safetensors", *network) != 0
        before = (folder / "c.safetensors.checkpoint").read_bytes()
        assert run("fit", "fit.toml", "-o", "c.safetensors", *network) == 2
        err = capsys.readouterr().err
        assert "c.safetensors.checkpoint is what an interrupted fit left; --resume" in err
        assert "--overwrite" in err
        assert (folder / "c.safetensors.checkpoint").read_bytes() == before
        assert run("fit", "fit.toml", "-o", "c.safetensors", "--resume", *network) == 0
        assert not os.path.exists("c.safetensors.checkpoint")

    def test_the_checkpoint_of_any_stage_is_replaced_only_on_request(self, folder):
        (folder / "c.safetensors.checkpoint.1").write_text("precious")
        assert run("fit", "fit.toml", "-o", "c.safetensors") == 2
        assert not os.path.exists("c.safetensors")
        assert (folder / "c.safetensors.checkpoint.1").read_text() == "precious"
        assert run("fit", "fit.toml", "-o", "c.safetensors", "--overwrite") == 0
        assert not os.path.exists("c.safetensors.checkpoint.1")

    def test_resume_of_a_finished_fit_does_nothing_but_for_other_parameters(self, folder, capsys):
        assert run("fit", "fit.toml", "-o", "c.safetensors") == 0
        before = os.stat("c.safetensors").st_mtime_ns
        assert run("fit", "fit.toml", "-o", "c.safetensors", "--resume", "--jobs", 2) == 0
        assert os.stat("c.safetensors").st_mtime_ns == before
        other = ["--set", "corrector.order=4"]
        assert run("fit", "fit.toml", "-o", "c.safetensors", "--resume", *other) == 2
        assert "other parameters" in capsys.readouterr().err

    def test_an_interrupted_training_continues_bit_for_bit(self, folder, monkeypatch, capsys):
        from dlintegrate.correctors import training

        network = [
            "--set", "projection=norm", "--set",
            'corrector={class="UNetResidue",width=4,depth=1,epochs=3}',
        ]  # fmt: skip
        assert run("fit", "fit.toml", "-o", "whole.safetensors", *network) == 0
        store, stored = training._Run.store, []

        def store_twice(self, *arguments):
            store(self, *arguments)
            stored.append(self.epoch)
            if len(stored) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(training._Run, "store", store_twice)
        assert run("fit", "fit.toml", "-o", "parts.safetensors", *network) == 130
        err = capsys.readouterr().err
        assert "interrupted: parts.safetensors.checkpoint is kept, --resume continues it" in err
        assert not os.path.exists("parts.safetensors")
        assert os.path.exists("parts.safetensors.checkpoint")
        assert run("fit", "fit.toml", "-o", "parts.safetensors", "--resume", *network) == 0
        assert stored == [0, 1, 2, 3], "the second run goes on after the first epoch"
        assert not os.path.exists("parts.safetensors.checkpoint")
        samples = read_states("samples.nc")
        whole, parts = load("whole.safetensors"), load("parts.safetensors")
        assert (whole.step(samples) == parts.step(samples)).all()
        assert whole.corrector_.get_params() == parts.corrector_.get_params()
        assert parts.corrector.checkpoint is None

    @pytest.mark.parametrize("corrector, parameter", [
        (UNetResidue(), "checkpoint"), (GraphForce(), "training__checkpoint"),
        (TorqueCNN(), "training__checkpoint"),
        (GraphForce(training=RollOut(epochs=3)), "training__checkpoint"),
        (GraphForce(training=RollOut(checkpoint="own")), None),
        (SeriesTorque(network=EquivariantTorque()), "network__training__checkpoint"),
        (LearnedPotential(DeepSpinPotential()), "potential__training__checkpoint"),
        (ElementaryDifferentialResidue(), None),
    ])  # fmt: skip
    def test_every_network_trains_with_a_checkpoint_unless_it_has_its_own(
        self, corrector, parameter, folder
    ):
        """Seen by the parameters that the corrector has while it is fitted, and after."""
        estimator = CorrectedIntegrator(SuzukiTrotter2(SYSTEM, 0.1), corrector)
        seen = {}

        def fit(progress):
            seen.update(estimator.corrector.get_params())
            fitted = estimator.corrector_ = clone(estimator.corrector)
            for name in {"network", "potential"} & set(fitted.get_params(deep=False)):
                setattr(fitted, f"{name}_", clone(getattr(fitted, name)))

        estimator.fit = fit
        fit_with_checkpoints(estimator, (), "here", resume=True, progress=False)
        paths = {key for key, value in seen.items() if value == "here"}
        assert paths == ({parameter} if parameter else set())
        assert estimator.corrector is corrector
        assert str(estimator.corrector_.get_params()) == str(corrector.get_params())
        for name in ("network", "potential"):
            if hasattr(estimator.corrector_, f"{name}_"):
                fitted, plain = getattr(estimator.corrector_, f"{name}_"), getattr(corrector, name)
                assert str(fitted.get_params()) == str(plain.get_params())


class TestSimulate:
    def test_a_classical_integrator_does_what_it_does_in_python(self, folder):
        words = "--t-max 2 --save-every 5 -o run.nc"
        assert run("simulate", "classical.toml", "samples.nc", *words.split()) == 0
        expected = BlanesMoan4(SYSTEM, 0.1).simulate(read_states("samples.nc"), 2.0, save_every=5)
        with open_trajectory("run.nc") as written:
            xr.testing.assert_identical(written.load(), expected)

    def test_a_trajectory_is_replaced_only_by_another_one(self, folder):
        simulate = ["simulate", "classical.toml", "samples.nc", "-o", "run.nc", "--t-max"]
        assert run(*simulate, 2) == 0
        before = (folder / "run.nc").read_bytes()
        assert run(*simulate, -5, "--overwrite") == 2
        assert (folder / "run.nc").read_bytes() == before
        files = set(os.listdir())
        assert run(*simulate, 1, "--overwrite") == 0
        assert (folder / "run.nc").read_bytes() != before
        assert set(os.listdir()) == files, "nothing is left beside it"

    def test_resume_continues_bit_for_bit(self, folder):
        simulate = ["simulate", "classical.toml", "samples.nc", "--save-every", 2]
        assert run(*simulate, "-o", "whole.nc", "--t-max", 4) == 0
        assert run(*simulate, "-o", "parts.nc", "--t-max", 1, "--resume") == 0, "nothing yet"
        assert run(*simulate, "-o", "parts.nc", "--t-max", 4, "--resume") == 0
        assert (folder / "parts.nc").read_bytes() == (folder / "whole.nc").read_bytes()

    @pytest.mark.skipif(not importlib.util.find_spec("zarr"), reason="zarr is missing")
    def test_overwrite_replaces_a_store_and_no_other_folder(self, folder, capsys):
        simulate = ["simulate", "classical.toml", "samples.nc", "-o", "run.zarr", "--t-max"]
        assert run(*simulate, 2) == 0
        assert run(*simulate, 1) == 2
        assert run(*simulate, 1, "--overwrite") == 0
        with open_trajectory("run.zarr") as replaced:
            assert float(replaced.time[-1]) == 1.0
        (folder / "thesis.zarr").mkdir()
        (folder / "thesis.zarr" / "chapter").write_text("precious")
        capsys.readouterr()
        simulate[4] = "thesis.zarr"
        assert run(*simulate, 1, "--overwrite") == 2
        assert "is a folder and no zarr store" in capsys.readouterr().err
        assert (folder / "thesis.zarr" / "chapter").read_text() == "precious"
        assert run("sample", "heisenberg", "--shape", 4, 4, "--temperature", 1, "-n", 1,
                   "-o", "thesis.zarr", "--overwrite") == 2  # fmt: skip

    @pytest.mark.parametrize("change, told", [
        (["--set-initial"], "did not start from"), (["--save-every", 3], "--save-every 3"),
        (["--model"], "written by another integrator"),
    ])  # fmt: skip
    def test_resume_refuses_another_run(self, folder, capsys, change, told):
        assert run("simulate", "classical.toml", "samples.nc", "-o", "run.nc", "--t-max", 1) == 0
        before = (folder / "run.nc").read_bytes()
        model, initial = "classical.toml", "samples.nc"
        if change == ["--set-initial"]:
            write_states(read_states("samples.nc")[::-1], "other.nc")
            initial, change = "other.nc", []
        elif change == ["--model"]:
            (folder / "other.toml").write_text(CLASSICAL.replace("0.1", "0.05"))
            model, change = "other.toml", []
        simulate = ["simulate", model, initial, "-o", "run.nc", "--t-max", 2, "--resume", *change]
        assert run(*simulate) == 2
        assert told in capsys.readouterr().err
        assert (folder / "run.nc").read_bytes() == before

    def test_a_pretrained_integrator_starts_where_another_run_ended(self, folder):
        assert run("simulate", "classical.toml", "samples.nc", "-o", "a.nc", "--t-max", 1) == 0
        name = "park-unet-L4"
        assert run("simulate", name, "a.nc", "-o", "b.nc", "--t-max", 0.2) == 0
        with open_trajectory("a.nc") as first, open_trajectory("b.nc") as second:
            start = first.spin.isel(time=-1)
            assert (second.spin.isel(time=0).values == start.values).all()
            expected = load_pretrained(name).step(start.drop_vars("time"), 2)
            assert (second.spin.isel(time=-1).values == expected.values).all()
            assert (second.temperature == first.temperature).all()

    def test_it_fails_if_every_sample_fails_and_only_then(self, folder, capsys):
        save(VelocityVerlet(LennardJones2D(2, density=0.02), 0.1), "verlet.safetensors")
        states = np.zeros((2, 2, 2, 2))
        states[:, 0, 1] = 0.5  # far too near: a step of 0.1 throws them out of all bounds
        write_states(particles(states), "wild.nc")
        simulate = ["simulate", "verlet.safetensors", "--t-max", 2]
        assert run(*simulate, "wild.nc", "-o", "lost.nc") == 1
        out, err = capsys.readouterr()
        assert "2 failed" in out and "use a smaller dt" in err
        assert err.startswith("dlintegrate: warning: ") and ".py" not in err
        states[1, 0, 1] = 2.0
        write_states(particles(states), "half.nc")
        assert run(*simulate, "half.nc", "-o", "half-run.nc") == 0
        with pytest.warns(UserWarning, match="1 failed samples are left out"):
            assert len(read_states("half-run.nc")) == 1


class TestEvaluate:
    def test_the_numbers_are_those_of_the_metrics(self, folder, capsys):
        assert run("fit", "fit.toml", "-o", "c.safetensors") == 0
        words = "--against classical.toml --t-max 2 --save-time 0.5 -o report.json"
        capsys.readouterr()
        assert run("evaluate", "c.safetensors", "samples.nc", *words.split()) == 0
        table = capsys.readouterr().out
        assert table.count("c.safetensors") == 2 and table.count("classical.toml") == 2
        report = json.loads((folder / "report.json").read_text())["reports"]
        samples, corrected = read_states("samples.nc"), load("c.safetensors")
        cold = samples[:2]
        trajectory = corrected.simulate(cold, 2.0, save_every=5)
        reference = reference_integrator(SYSTEM, 0.1)
        exact = reference.simulate(cold, 2.0, save_every=round(0.5 / reference.dt))
        row = report["c.safetensors"][0]
        assert row["temperature"] == 0.4 and row["n_samples"] == 2 and row["n_failed"] == 0
        assert row["one_step_error"] == one_step_error(corrected, cold)
        assert row["energy_drift"] == energy_drift(trajectory).mean_absolute[-1]
        threshold = threshold_time(spin_correlation(trajectory, exact))
        assert row["threshold_time"] == threshold.time and not row["threshold_reached"]
        assert row["threshold_time_error"] is None, "JSON knows no NaN"
        assert report["classical.toml"][0]["one_step_error"] < row["one_step_error"]
        capsys.readouterr()
        words = "--reference classical.toml --json --progress"
        assert run("evaluate", "c.safetensors", "samples.nc", *words.split()) == 0
        out, err = capsys.readouterr()
        (other,) = json.loads(out)["reports"].values()
        assert other[0]["one_step_error"] == one_step_error(
            corrected, cold, BlanesMoan4(SYSTEM, 0.1)
        )
        assert "evaluating: 100%" in err
        words = "--reference classical.toml -o report.json"
        assert run("evaluate", "c.safetensors", "samples.nc", *words.split()) == 2
        assert "report.json exists; --overwrite replaces it\n" in capsys.readouterr().err
        assert run("evaluate", "c.safetensors", "samples.nc", *words.split(), "--overwrite") == 0
        words = words.replace("report", "nowhere/report")
        assert run("evaluate", "c.safetensors", "samples.nc", *words.split()) == 2
        assert "there is no folder nowhere" in capsys.readouterr().err

    def test_a_trajectory_is_compared_with_another_one(self, folder, capsys):
        (folder / "coarse.toml").write_text(
            CLASSICAL.replace("BlanesMoan4", "SuzukiTrotter2").replace("0.1", "0.5")
        )
        words = ["--t-max", 10]
        assert run("simulate", "classical.toml", "samples.nc", *words, "--save-every", 5,
                   "-o", "fine.nc") == 0  # fmt: skip
        assert run("simulate", "coarse.toml", "samples.nc", *words, "-o", "coarse.nc") == 0
        capsys.readouterr()
        assert run("evaluate", "coarse.nc", "--reference", "fine.nc", "--json") == 0
        cold, warm = json.loads(capsys.readouterr().out)["reports"]["coarse.nc"]
        assert cold["temperature"] == 0.4 and warm["threshold_reached"]
        assert 0 < warm["threshold_time"] < 10 and warm["energy_drift"] < 1e-12
        assert run("evaluate", "coarse.nc") == 0
        assert "t_thres" not in capsys.readouterr().out
        with open_trajectory("fine.nc") as fine:
            fine.drop_vars("temperature").to_netcdf("bare.nc")
            fine.assign_coords(temperature=fine.temperature + 1).to_netcdf("warmer.nc")
            fine.isel(sample=[0, 1, 2]).to_netcdf("fewer.nc")
        assert run("evaluate", "coarse.nc", "--reference", "bare.nc", "--json") == 0
        assert json.loads(capsys.readouterr().out)["reports"]["coarse.nc"] == [cold, warm]
        assert run("evaluate", "coarse.nc", "--reference", "warmer.nc") == 2
        assert "sample 0 of the reference has temperature 1.4, not 0.4" in capsys.readouterr().err
        assert run("evaluate", "coarse.nc", "--reference", "fewer.nc") == 2
        assert "the reference has 3 samples, not 4" in capsys.readouterr().err

    def test_particles_have_a_distance_in_phase_space(self, folder, capsys):
        words = "lennard-jones --n-particles 8 --density 0.2 --temperature 1 -n 2 -o p.nc"
        assert run("sample", *words.split(), "--set", "samples.n_sweeps=20") == 0
        (folder / "verlet.toml").write_text(
            '[system]\nclass = "LennardJones2D"\nn_particles = 8\ndensity = 0.2\n'
            '[integrator]\nclass = "VelocityVerlet"\ndt = 0.01\n'
        )
        capsys.readouterr()
        assert run("evaluate", "verlet.toml", "p.nc", "--t-max", 0.5, "--json") == 0
        (row,) = json.loads(capsys.readouterr().out)["reports"]["verlet.toml"]
        assert 0 < row["phase_space_distance"] < 1e-2 and row["momentum_drift"] < 1e-12


class TestAbout:
    def test_pretrained_lists_and_shows_cards(self, capsys):
        assert run("pretrained") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list_pretrained()
        assert run("pretrained", "park-unet-L4") == 0
        assert "provenance:\n  command: " in capsys.readouterr().out
        assert run("pretrained", "--json") == 0
        assert set(json.loads(capsys.readouterr().out)) == set(list_pretrained())

    def test_info_has_what_a_report_needs(self, capsys):
        assert run("info", "--json") == 0
        report = json.loads(capsys.readouterr().out)
        assert {"dlintegrate", "python", "platform", "cores", "torch_devices"} <= set(report)
        assert report["packages"]["numpy"] == np.__version__
        assert report["pretrained"] == list_pretrained()
        assert "pytest" not in report["packages"]
        assert run("info") == 0
        assert f"  numpy: {np.__version__}" in capsys.readouterr().out

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_knows_every_command(self, shell, capsys):
        pytest.importorskip("shtab")
        assert run("completion", shell) == 0
        script = capsys.readouterr().out
        assert all(word in script for word in ("simulate", "pretrained", "--save-every", "fish"))

    def test_completion_without_its_library_says_what_to_install(self, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "shtab", None)
        assert run("completion", "bash") == 2
        assert 'pip install "dlintegrate[completion]"' in capsys.readouterr().err


class TestErrors:
    @pytest.mark.parametrize("command, told", [
        ("sample heisenbrg -o x.nc", "did you mean 'heisenberg'"),
        ("sample heisenberg --shape 4 -o x.nc", "needs temperature"),
        ("sample heisenberg --shape 4 --density 1 -o x.nc", "has no key 'density'"),
        ("sample sd-model -o x.nc", "skyrmion_lattice"),
        ("sample absent.toml -o x.nc", "absent.toml: no such file"),
        ("sample heisenberg --temperature 1 -n 1 -o no/x.nc", "there is no folder no"),
        ("fit fit.toml -o x --set base.dtt=1", "has no key 'dtt'; did you mean 'dt'"),
        ("fit fit.toml -o x --set base.class=SuzukiTroter2", "did you mean 'SuzukiTrotter2'"),
        ("fit fit.toml -o x --set base.class=HeisenbergLattice", "is not what belongs there"),
        ("fit fit.toml -o x --set projectoin=1", "did you mean 'projection'"),
        ("fit fit.toml -o x --set samples=1", "expected a table"),
        ("sample fit.toml -o x.nc --set samples=training.nc",
         "samples='training.nc': expected a table: [samples] with file = "),
        ("sample fit.toml -o x.nc --set system=HeisenbergLattice -n 1",
         "expected a table with a class: [system] with class = "),
        ("fit fit.toml -o x --set samples.file=none.nc", "none.nc: no such file"),
        ("fit fit.toml -o x --set base.dt=0.13", "does not divide base.dt=0.13"),
        ("fit fit.toml -o x --set base", "expected KEY=VALUE"),
        ("fit classical.toml -o x", "[base] and [corrector]"),
        ("simulate fit.toml samples.nc -o x --t-max 1", "it describes a fit"),
        ("simulate park-unt-L4 samples.nc -o x --t-max 1", "did you mean 'park-unet-L4'"),
        ("simulate samples.nc samples.nc -o x --t-max 1", "not a complete dlintegrate file"),
        ("simulate classical.toml fit.toml -o x --t-max 1", "not a readable netCDF file"),
        ("simulate lennard-jones-graph samples.nc -o x --t-max 1", "has dimensions"),
        ("simulate classical.toml samples.nc -o x --t-max=-1", "t_max=-1.0"),
        ("evaluate samples.nc", "give a trajectory, or SAMPLES.nc"),
        ("evaluate classical.toml samples.nc --t-max 1 --save-time 0.16", "use for instance 0.2"),
        ("pretrained nothing", "name='nothing'"),
        ("fit fit.toml -o x --set samples.n_sweeps=3", "[samples] has file and 'n_sweeps'"),
        ("fit fit.toml -o x --set samples.n=3", "has no fields to draw from"),
        ("fit fit.toml -o x --set samples={function='sample_relaxation'}", "then fit with it"),
        ("sample classical.toml -o x.nc", "classical.toml has no [samples]"),
        ("sample classical.toml -o x.nc --temperature 1 -n 1 --set samples.function=draw",
         "function='draw'"),
        ("simulate classical.toml no_states.nc -o x --t-max 1", "has the variables a, b"),
        ("simulate classical.toml samples.nc -o samples.nc --t-max 1 --resume",
         "not a trajectory written by dlintegrate"),
    ])  # fmt: skip
    def test_bad_input_is_told_in_one_line_and_exits_with_2(self, folder, capsys, command, told):
        xr.Dataset({"a": ("sample", [1.0]), "b": ("sample", [1.0])}).to_netcdf("no_states.nc")
        assert run(*command.split()) == 2
        err = capsys.readouterr().err
        assert err.startswith("dlintegrate: error: ") and err.count("\n") == 1
        assert told in err and "Traceback" not in err
        assert not os.path.exists("x") and not os.path.exists("x.nc")

    def test_what_fails_on_the_way_exits_with_1(self, folder, capsys, monkeypatch):
        from dlintegrate import state_files

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(state_files, "write_states", full)
        words = "heisenberg --shape 4 --temperature 1 -n 1 -o x.nc"
        assert run("sample", *words.split()) == 1
        assert "No space left" in capsys.readouterr().err

    def test_a_full_disk_is_one_line_and_leaves_the_former_file(self, folder, capsys, monkeypatch):
        def full(*_, **__):
            raise RuntimeError("NetCDF: HDF error")

        before = (folder / "samples.nc").read_bytes()
        monkeypatch.setattr(xr.DataArray, "to_netcdf", full)
        words = "heisenberg --shape 4 --temperature 1 -n 1 -o samples.nc --overwrite"
        assert run("sample", *words.split()) == 1
        err = capsys.readouterr().err
        assert "cannot write samples.nc (NetCDF: HDF error); free some space" in err
        assert err.count("\n") == 1
        assert (folder / "samples.nc").read_bytes() == before
        assert not list(folder.glob(".dlintegrate-*")), "nothing is left behind"

    @pytest.mark.parametrize("number", ["0", "-3", "1.5", "many"])
    def test_counts_are_positive_whole_numbers(self, number, capsys):
        with pytest.raises(SystemExit) as stop:
            run("sample", "heisenberg", f"-n={number}", "-o", "x.nc")
        assert stop.value.code == 2 and number in capsys.readouterr().err

    @pytest.mark.parametrize("number", ["inf", "nan", "cold"])
    def test_numbers_are_finite(self, number, capsys):
        with pytest.raises(SystemExit) as stop:
            run("sample", "heisenberg", "--temperature", number, "-o", "x.nc")
        assert stop.value.code == 2 and number in capsys.readouterr().err

    @pytest.mark.parametrize("bug", [RuntimeError("spin\nlost"), TypeError("spin lost")])
    def test_a_bug_says_how_to_report_it_and_debug_shows_where(self, bug, capsys, monkeypatch):
        from dlintegrate import environment

        # an operand that cannot be: Python raises, not a check
        monkeypatch.setattr(environment, "describe_environment", lambda: _provoke(bug))
        assert run("info") == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and type(bug).__name__ in err and "`dlintegrate info`" in err
        for debugging in (["--debug", "info"], ["info", "--debug"]):
            assert run(*debugging) == 1
            assert "Traceback" in capsys.readouterr().err

    def test_a_folder_that_is_a_file_is_bad_input(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        assert run("demo", "--quick", "--output", tmp_path / "file") == 2
        assert capsys.readouterr().err.startswith("dlintegrate: error: ")


def _provoke(bug):
    if isinstance(bug, TypeError):
        return 1 + "spin"
    raise bug


def test_ctrl_c_leaves_a_readable_file_that_resume_continues_bit_for_bit(folder):
    simulate = ["simulate", "classical.toml", "samples.nc", "-o", "run.nc"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dlintegrate", *simulate, "--t-max", "1e7"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not os.path.exists("run.nc"):
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.startswith("dlintegrate: interrupted: stopped at t = ") and err.count("\n") == 1
    assert "run.nc is readable, --resume continues it" in err
    with open_trajectory("run.nc") as partial:
        n_frames = partial.sizes["time"]
        assert n_frames > 1 and np.isfinite(partial.spin.values[-1]).all()
    t_max = 0.1 * (n_frames + 20)
    assert run(*simulate, "--resume", "--t-max", t_max) == 0
    whole = BlanesMoan4(SYSTEM, 0.1).simulate(read_states("samples.nc"), t_max)
    with open_trajectory("run.nc") as continued:
        assert (continued.spin.values == whole.spin.values).all()
        assert (continued.time.values == whole.time.values).all()
