"""Frames of atoms: their layout, and the files that they come from and go to."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crystals import SmallCrystal, two_species_frames

from dlintegrate import (
    frames_from_arrays,
    frames_to_states,
    make_frames,
    read_deepmd,
    read_extxyz,
    write_deepmd,
    write_extxyz,
)
from dlintegrate.frames import check_frames

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DLINTEGRATE_DATA", ROOT.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not (DATA / "nio_spin").is_dir(), reason=f"first-principles data are not at {DATA}"
)
VIRTUAL = {"Ni": (0.4, 1.3)}


@pytest.fixture(scope="module")
def frames():
    return two_species_frames()


def assert_same(ours, theirs, tolerance=0.0):
    assert list(ours.species.values) == list(theirs.species.values)
    assert set(ours.data_vars) == set(theirs.data_vars)
    for name in theirs.data_vars:
        np.testing.assert_allclose(ours[name], theirs[name], atol=tolerance, rtol=0)


class TestLayout:
    def test_frames_of_a_system_carry_its_energy_and_gradients(self, frames):
        crystal = SmallCrystal()
        states = frames_to_states(frames, crystal)
        known = crystal.evaluate(states, virial=True)
        for name, values in known._asdict().items():
            np.testing.assert_array_equal(frames[name], values)
        assert frames.force.attrs["units"] == "eV/Å"

    def test_states_come_back_from_frames(self):
        crystal = SmallCrystal()
        states = crystal.random_states(2, random_state=1)
        frames = make_frames(crystal, states, label=False)
        assert "energy" not in frames
        back = frames_to_states(frames, crystal, momenta=states[:, 1])
        np.testing.assert_array_equal(back, states)

    def test_a_system_without_virial_labels_what_it_has(self, frames):
        class Stressless(SmallCrystal):
            def compute(self, positions, spins, *, virial=False):
                if virial:
                    raise NotImplementedError("no stress")
                return super().compute(positions, spins)

        labelled = make_frames(Stressless(), frames_to_states(frames, SmallCrystal()))
        assert_same(labelled, frames.drop_vars("virial"))

    def test_a_state_that_the_system_fails_on_takes_no_other_along(self, frames):
        class Fails(SmallCrystal):
            def __init__(self, on):
                self.on = on

            def compute(self, positions, spins, *, virial=False):
                known = super().compute(positions, spins, virial=virial)
                known.force[self.on, 3] = np.nan
                return known

        states = frames_to_states(frames, SmallCrystal())
        with pytest.warns(RuntimeWarning, match=r"no labels for sample 1 \(1 of 4\): Fails failed"):
            labelled = make_frames(Fails([1]), states)
        assert_same(labelled, frames.isel(frame=[0, 2, 3]))
        with pytest.raises(ValueError, match="Fails failed for all 4 states"):
            make_frames(Fails([0, 1, 2, 3]), states)

    def test_a_system_of_other_species_refuses_them(self, frames):
        with pytest.raises(ValueError, match="species"):
            frames_to_states(frames.assign_coords(species=("atom", ["O"] * 8)), SmallCrystal())

    def test_shapes_that_do_not_fit_are_named(self):
        with pytest.raises(ValueError, match=r"force has shape \(1, 2, 2\).*\(1, 2, 3\)"):
            frames_from_arrays(
                np.zeros((1, 2, 3)), np.eye(3), ["H", "H"], force=np.zeros((1, 2, 2))
            )
        with pytest.raises(ValueError, match="leading axis"):
            frames_from_arrays(np.zeros((2, 3)), np.eye(3), ["H", "H"])

    def test_a_frame_with_nan_is_named(self, frames):
        bad = frames.copy(deep=True)
        bad.force[2, 0, 0] = np.nan
        with pytest.raises(ValueError, match="force is NaN or infinite in frame 2"):
            check_frames(bad)

    @pytest.mark.parametrize(
        ("frames", "error", "match"),
        [
            (np.zeros(3), TypeError, "frames_from_arrays"),
            ([], ValueError, "no frame"),
            (xr.Dataset({"position": (("frame", "atom", "component"), np.zeros((1, 1, 3)))}),
             ValueError, "no variable 'spin'"),
        ],
    )  # fmt: skip
    def test_what_is_no_frames_is_refused(self, frames, error, match):
        with pytest.raises(error, match=match):
            check_frames(frames)


class TestDeepmd:
    @pytest.mark.parametrize("virtual", [None, VIRTUAL])
    @pytest.mark.parametrize("set_size", [None, 3])
    def test_files_give_back_what_was_written(self, frames, tmp_path, virtual, set_size):
        write_deepmd(frames, tmp_path / "set", virtual=virtual, set_size=set_size)
        back = read_deepmd(tmp_path / "set", virtual=virtual)
        assert_same(back, frames, tolerance=0 if virtual is None else 1e-14)

    def test_virtual_sites_lie_along_the_spins(self, frames, tmp_path):
        write_deepmd(frames, tmp_path, virtual=VIRTUAL)
        coord = np.load(tmp_path / "set.000" / "coord.npy").reshape(4, 12, 3)
        force = np.load(tmp_path / "set.000" / "force.npy").reshape(4, 12, 3)
        expected = frames.position[:, :4] + 0.4 * frames.spin[:, :4] / 1.3
        np.testing.assert_allclose(coord[:, 8:], expected, atol=1e-14)
        np.testing.assert_allclose(force[:, 8:] * 0.4 / 1.3, frames.magnetic_force[:, :4])

    def test_spins_that_no_virtual_site_would_hold_are_not_lost(self, frames, tmp_path):
        spinning = frames.copy(deep=True)
        spinning.spin[1, 5] = [0.0, 0.0, 0.1]
        with pytest.raises(ValueError, match=r"would lose the spins of \['O'\]; name"):
            write_deepmd(spinning, tmp_path / "set", virtual=VIRTUAL)
        assert not (tmp_path / "set").exists()

    def test_a_virtual_site_may_have_been_wrapped_into_the_cell(self, frames, tmp_path):
        write_deepmd(frames, tmp_path, virtual=VIRTUAL)
        path = tmp_path / "set.000" / "coord.npy"
        coord = np.load(path)
        np.save(path, coord.reshape(4, 12, 3) % 4.2)
        np.testing.assert_allclose(
            read_deepmd(tmp_path, virtual=VIRTUAL).spin, frames.spin, atol=1e-13
        )

    def test_single_precision_is_read_as_double(self, frames, tmp_path):
        write_deepmd(frames, tmp_path, dtype="float32")
        assert np.load(tmp_path / "set.000" / "force.npy").dtype == np.float32
        back = read_deepmd(tmp_path)
        assert back.force.dtype == np.float64
        np.testing.assert_allclose(back.force, frames.force, atol=1e-6)

    def test_symbols_may_be_given_where_no_map_says_them(self, frames, tmp_path):
        write_deepmd(frames, tmp_path)
        (tmp_path / "type_map.raw").unlink()
        with pytest.raises(FileNotFoundError, match=r"species=\['Ni', 'O'\]"):
            read_deepmd(tmp_path)
        assert list(read_deepmd(tmp_path, species=["Fe", "S"]).species.values[3:5]) == ["Fe", "S"]

    def test_existing_sets_are_not_mixed_with_new_ones(self, frames, tmp_path):
        write_deepmd(frames, tmp_path)
        with pytest.raises(FileExistsError, match="another folder"):
            write_deepmd(frames, tmp_path)

    @pytest.mark.parametrize(
        ("damage", "error", "match"),
        [
            (lambda p: (p / "type.raw").unlink(), FileNotFoundError, "type.raw is missing"),
            (lambda p: (p / "type.raw").write_text("Ni\n"), ValueError, "type.raw is damaged"),
            (lambda p: (p / "set.000" / "box.npy").unlink(), FileNotFoundError, "box.npy"),
            (lambda p: (p / "set.000" / "force.npy").write_bytes(b"\x93NUMPY"), ValueError,
             "force.npy is damaged"),
            (lambda p: np.save(p / "set.000" / "spin.npy", np.zeros((4, 5))), ValueError,
             r"spin.npy has shape \(4, 5\); expected \(4, 24\)"),
            (lambda p: (p / "nopbc").touch(), ValueError, "nopbc"),
            (lambda p: (p / "type_map.raw").write_text("Ni\n"), ValueError, "has no symbol"),
        ],
    )  # fmt: skip
    def test_damage_is_named_with_its_file(self, frames, tmp_path, damage, error, match):
        write_deepmd(frames, tmp_path)
        damage(tmp_path)
        with pytest.raises(error, match=match):
            read_deepmd(tmp_path)

    def test_a_folder_that_does_not_exist_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read_deepmd(tmp_path / "nowhere")

    @needs_data
    @pytest.mark.firstprinciples
    def test_both_layouts_of_the_published_data_are_read(self):
        plain = read_deepmd(DATA / "nio_spin" / "undistorted_0")
        virtual = read_deepmd(
            DATA / "nio_spin_displaced" / "train", ["Ni", "O"], virtual={"Ni": (0.4, 1.2737)}
        )
        for frames, n_frames in ((plain, 60), (virtual, 80)):
            assert dict(frames.sizes)["frame"] == n_frames
            assert list(frames.species.values) == ["Ni"] * 16 + ["O"] * 16
            length = np.linalg.norm(frames.spin[:, :16], axis=-1)
            np.testing.assert_allclose(length, 1.274, atol=0.01)
            assert not frames.spin[:, 16:].any()
            assert 5e-3 < frames.magnetic_force[:, :16].std() < 2e-2


def _half_of_it(file, images, format):
    """A writer that is killed."""
    file.write(f"{len(images[0])}")
    raise KeyboardInterrupt


class TestExtendedXYZ:
    def test_files_give_back_what_was_written(self, frames, tmp_path):
        pytest.importorskip("ase")
        write_extxyz(frames, tmp_path / "frames.xyz")
        symmetric = 0.5 * (frames.virial.values + frames.virial.values.transpose(0, 2, 1))
        expected = frames.assign(virial=(frames.virial.dims, symmetric))
        assert_same(read_extxyz(tmp_path / "frames.xyz"), expected, tolerance=2e-8)

    def test_compositions_become_datasets_of_their_own(self, frames, tmp_path):
        pytest.importorskip("ase")
        other = frames.isel(atom=slice(0, 4))
        write_extxyz([frames, other], tmp_path / "frames.xyz")
        first, second = read_extxyz(tmp_path / "frames.xyz")
        assert (first.sizes["atom"], second.sizes["atom"]) == (8, 4)

    @pytest.mark.parametrize("key", ["energy", "forces", "stress", "spin", "magnetic_force"])
    def test_a_label_that_some_images_lack_is_named(self, frames, tmp_path, key):
        """One image must not take the labels of all others with it."""
        io = pytest.importorskip("ase.io")
        path = tmp_path / "frames.xyz"
        write_extxyz([frames.isel(atom=slice(4)), frames], path)
        images = io.read(path, ":")
        for image in images[5:7]:
            image.calc.results.pop(key, None)
            image.arrays.pop(key, None)
        io.write(path, images)
        with pytest.raises(ValueError, match=f"2 of 4 images have no '{key}'.*first is image 5"):
            read_extxyz(path)

    def test_a_file_is_replaced_in_one_piece(self, frames, tmp_path, monkeypatch):
        io = pytest.importorskip("ase.io")
        for name in ("frames.xyz", "frames.xyz.gz"):
            write_extxyz(frames, tmp_path / name)
            before = (tmp_path / name).read_bytes()
            with monkeypatch.context() as patch:
                patch.setattr(io, "write", _half_of_it)
                with pytest.raises(KeyboardInterrupt):
                    write_extxyz(frames, tmp_path / name)
            assert (tmp_path / name).read_bytes() == before
            assert read_extxyz(tmp_path / name).sizes["frame"] == 4
        assert len(list(tmp_path.iterdir())) == 2

    def test_collinear_moments_point_along_z(self, tmp_path):
        ase = pytest.importorskip("ase")
        atoms = ase.Atoms("Fe2", positions=[[0, 0, 0], [2, 0, 0]], cell=[4, 4, 4], pbc=True)
        atoms.set_array("magmoms", np.array([2.2, -2.2]))
        atoms.write(tmp_path / "fe.xyz", format="extxyz")
        frames = read_extxyz(tmp_path / "fe.xyz", spin="magmoms")
        np.testing.assert_allclose(frames.spin[0], [[0, 0, 2.2], [0, 0, -2.2]])
        assert "energy" not in frames

    def test_missing_and_damaged_files_are_named(self, tmp_path):
        pytest.importorskip("ase")
        with pytest.raises(FileNotFoundError, match=r"absent\.xyz"):
            read_extxyz(tmp_path / "absent.xyz")
        (tmp_path / "bad.xyz").write_text("3\nnothing\nH 0 0\n")
        with pytest.raises(ValueError, match=r"bad.xyz cannot be read"):
            read_extxyz(tmp_path / "bad.xyz")

    def test_an_array_that_is_not_there_is_named(self, frames, tmp_path):
        pytest.importorskip("ase")
        write_extxyz(frames, tmp_path / "frames.xyz")
        with pytest.raises(ValueError, match="no array 'moments'; it has"):
            read_extxyz(tmp_path / "frames.xyz", spin="moments")
