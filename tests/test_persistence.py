"""Files: exact round trips, no code in them, clear errors, old versions."""

import json
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    ImplicitMidpoint,
    LearnedComposition,
    SublatticeComposition,
    SuzukiTrotter2,
    UNetResidue,
    load,
    save,
)
from dlintegrate.integrators import Integrator
from dlintegrate.persistence import fingerprint

SYSTEM = HeisenbergLattice(shape=4)
STATES = SYSTEM.random_states(8, 0, order=2.0)
OLD_FILE = Path(__file__).parent / "data" / "corrected-0.1.0.safetensors"


def fit(corrector, **kwargs):
    return CorrectedIntegrator(
        SuzukiTrotter2(SYSTEM, 0.1), corrector, random_state=0, **kwargs
    ).fit(STATES)


@pytest.fixture(scope="module")
def fitted():
    return {
        "ridge": fit(ElementaryDifferentialResidue(order=3), projection=("energy",)),
        "composition": fit(LearnedComposition(stages=5, max_iter=2)),
        "network": fit(UNetResidue(width=4, depth=1, epochs=1)),
    }


@pytest.mark.parametrize("kind", ["ridge", "composition", "network"])
@pytest.mark.parametrize("how", ["joblib", "save"])
def test_a_round_trip_steps_bit_for_bit(fitted, tmp_path, kind, how):
    path = tmp_path / "file"
    if how == "joblib":
        joblib.dump(fitted[kind], path)
        again = joblib.load(path)
    else:
        save(fitted[kind], path)
        again = load(path)
    assert (again.step(STATES) == fitted[kind].step(STATES)).all()
    assert again.guarantees == fitted[kind].guarantees
    assert again.history_ == fitted[kind].history_
    assert repr(again) == repr(fitted[kind])
    assert fingerprint(again) == fingerprint(fitted[kind])


@pytest.mark.parametrize("kind", ["ridge", "composition", "network"])
def test_the_pickle_holds_no_torch_object(fitted, kind):
    """So it loads on a machine without that device."""
    assert b"torch" not in pickle.dumps(fitted[kind])


@pytest.mark.parametrize(
    "thing",
    [
        HeisenbergLattice((4, 6), J=-0.5, field=(0, 0, 0.1)),
        BlanesMoan4(SYSTEM, 0.1),
        ImplicitMidpoint(SYSTEM, 0.1),
        SublatticeComposition(SYSTEM, 0.1, np.array([0.5, 1, 0.5]), np.zeros((3, 3))),
        CorrectedIntegrator(BlanesMoan4(SYSTEM, 0.1), LearnedComposition()),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_unfitted_objects_are_saved_too(thing, tmp_path):
    save(thing, tmp_path / "file")
    assert fingerprint(load(tmp_path / "file")) == fingerprint(thing)


def test_different_objects_have_different_fingerprints(fitted):
    prints = [fingerprint(v) for v in fitted.values()] + [fingerprint(BlanesMoan4(SYSTEM, 0.1))]
    assert len(set(prints)) == len(prints)


def test_a_trajectory_of_a_loaded_integrator_resumes(fitted, tmp_path):
    save(fitted["ridge"], tmp_path / "file")
    whole = fitted["ridge"].simulate(STATES, 2.0)
    fitted["ridge"].simulate(STATES, 1.0, path=tmp_path / "run.nc").close()
    resumed = load(tmp_path / "file").resume(tmp_path / "run.nc", 2.0)
    assert (resumed.spin.values == whole.spin.values).all()


def test_another_version_warns(fitted, tmp_path, monkeypatch):
    joblib.dump(fitted["ridge"], tmp_path / "job")
    save(fitted["ridge"], tmp_path / "file")
    monkeypatch.setattr("dlintegrate.persistence.__version__", "9.9")
    with pytest.warns(UserWarning, match=r"written by dlintegrate 0\.1\.0, read by 9\.9"):
        joblib.load(tmp_path / "job")
    with pytest.warns(UserWarning, match=r"written by dlintegrate 0\.1\.0, read by 9\.9"):
        load(tmp_path / "file")


def test_the_file_of_version_0_1_0_still_steps_as_it_did():
    """Made once by tests/data/make_old_file.py; never to be made anew."""
    again = load(OLD_FILE)
    expected = np.load(OLD_FILE.with_suffix(".npz"))
    assert np.abs(again.step(expected["before"]) - expected["after"]).max() < 1e-13


def save_edited(estimator, path, change):
    """Write a file whose header is not what :func:`save` made it."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    save(estimator, path)
    with safe_open(str(path), framework="numpy") as file:
        header = json.loads(file.metadata()["dlintegrate"])
    change(header)
    save_file(load_file(path), path, metadata={"dlintegrate": json.dumps(header)})


class TestNothingIsExecuted:
    @pytest.mark.parametrize("name", ["Popen", "os.system", "subprocess.Popen", "object"])
    def test_a_class_that_is_not_ours_is_refused(self, fitted, tmp_path, name):
        def change(header):
            header["object"]["class"] = name

        save_edited(fitted["ridge"], tmp_path / "file", change)
        with pytest.raises(ValueError, match=f"holds a {name}.*classes="):
            load(tmp_path / "file")

    def test_a_class_of_ones_own_has_to_be_passed(self, tmp_path):
        save(Rest(SYSTEM, 0.1), tmp_path / "file")
        with pytest.raises(ValueError, match=r"holds a Rest.*classes=\[Rest\]"):
            load(tmp_path / "file")
        assert isinstance(load(tmp_path / "file", classes=[Rest]), Rest)

    def test_what_only_pickle_could_hold_is_refused(self, tmp_path):
        with pytest.raises(TypeError, match=r"function cannot be saved.*joblib"):
            save(Rest(SYSTEM, lambda: 0.1), tmp_path / "file")
        assert not list(tmp_path.iterdir()), "nothing is left behind"


class Rest(Integrator):
    """Stands still."""

    def __init__(self, system, dt):
        self.system, self.dt = system, dt

    guarantees = frozenset()

    def advance(self, array, n_steps):
        return array.copy()


class TestDamage:
    def test_a_truncated_file(self, fitted, tmp_path):
        save(fitted["network"], tmp_path / "file")
        data = (tmp_path / "file").read_bytes()
        for cut in (0, 5, 100, len(data) // 2, len(data) - 1):
            (tmp_path / "file").write_bytes(data[:cut])
            with pytest.raises(ValueError, match="not a complete dlintegrate file"):
                load(tmp_path / "file")

    def test_another_safetensors_file(self, tmp_path):
        from safetensors.numpy import save_file

        save_file({"a": np.zeros(3)}, tmp_path / "file")
        with pytest.raises(ValueError, match="not a complete dlintegrate file"):
            load(tmp_path / "file")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="absent"):
            load(tmp_path / "absent")

    @pytest.mark.filterwarnings("ignore:written by dlintegrate")
    @pytest.mark.parametrize("change, told", [
        (lambda header: header.update(format=2), "in format 2: .* reads format 1"),
        (lambda header: header["object"]["params"].update(spin=2), "TypeError: .*'spin'"),
        (lambda header: header["object"].pop("class"), "KeyError: 'class'"),
        (lambda header: header["object"].pop("fitted"), "KeyError: 'fitted'"),
        (lambda header: header["object"]["fitted"].update(x={"array": "b"}), "KeyError: 'b'"),
        (lambda header: header["object"].update(params=[]), "AttributeError: "),
        (lambda header: header["object"].update({"class": "Integrator"}), "TypeError: Integrator"),
    ])  # fmt: skip
    def test_what_another_version_may_have_written(self, fitted, tmp_path, change, told):
        def edit(header):
            header["version"] = "9.9"
            change(header)

        save_edited(fitted["ridge"], tmp_path / "file", edit)
        told = f"file was written by dlintegrate 9.9.*{told}.*with the version that wrote it"
        with pytest.raises(ValueError, match=told):
            load(tmp_path / "file")

    def test_a_full_disk(self, fitted, tmp_path):
        """A limit on the size of files stands in for the disk."""
        save(fitted["ridge"], tmp_path / "file")
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, unlimited[1]))
        try:
            with pytest.raises(OSError, match=r"cannot write .*file \(.*free some space"):
                save(fitted["network"], tmp_path / "file")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert [p.name for p in tmp_path.iterdir()] == ["file"]
        assert fingerprint(load(tmp_path / "file")) == fingerprint(fitted["ridge"])

    def test_a_failed_write_keeps_the_old_file(self, fitted, tmp_path, monkeypatch):
        save(fitted["ridge"], tmp_path / "file")

        def fail(*args, **kwargs):
            raise OSError("No space left on device")

        monkeypatch.setattr("safetensors.numpy.save_file", fail)
        with pytest.raises(OSError, match="No space"):
            save(fitted["network"], tmp_path / "file")
        assert [p.name for p in tmp_path.iterdir()] == ["file"]
        assert fingerprint(load(tmp_path / "file")) == fingerprint(fitted["ridge"])


def test_import_is_light():
    """No torch, no numba, no matplotlib until they are used."""
    code = (
        "import sys, dlintegrate; "
        "print([m for m in ('torch', 'numba', 'matplotlib') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
