"""Spins in space and moving pictures: every cone points where its spin does, every frame counts."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.animation
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from PIL import Image

from dlintegrate import (
    HeisenbergLattice,
    LennardJones2D,
    SpinLatticeCrystal,
    SuzukiTrotter2,
    VelocityVerlet,
    skyrmion_lattice,
)
from dlintegrate._atom_plots import folded
from dlintegrate._spin_plots import _CORNERS, direction_colors
from dlintegrate.plotting import animate, plot_atoms, plot_spins_3d, plot_texture, save_animation
from dlintegrate.states import FAILED

CUBE = HeisenbergLattice((4, 6, 4)).random_states(2, 0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def simulate(shape):
    lattice = HeisenbergLattice(shape)
    return SuzukiTrotter2(lattice, 0.1).simulate(lattice.random_states(2, 0), 0.4)


def triangles(ax):
    """Corners of the triangles of each cone, shape (n, 2 * _CORNERS, 3, 3)."""
    (collection,) = ax.collections
    return np.asarray(collection._faces).reshape(-1, 2 * _CORNERS, 3, 3)


def directions(ax):
    """Where cones point, and the middles of their axes."""
    cone = triangles(ax)
    tip, middle = cone[:, 0, 2], cone[:, -1, 2]
    axis = tip - middle
    return axis / np.linalg.norm(axis, axis=-1, keepdims=True), 0.5 * (tip + middle)


class TestCones:
    def test_point_along_their_spins_at_their_sites(self):
        axis, centre = directions(plot_spins_3d(CUBE, 1))
        np.testing.assert_allclose(axis, CUBE[1].reshape(-1, 3), atol=1e-12)
        sites = np.moveaxis(np.indices((4, 6, 4)), 0, -1).reshape(-1, 3)
        np.testing.assert_allclose(centre, sites, atol=1e-12)

    def test_are_round_about_their_axes(self):
        cone = triangles(plot_spins_3d(CUBE))
        rim, middle = cone[:, :_CORNERS, 0], cone[:, -1, 2]
        spoke = rim - middle[:, None]
        np.testing.assert_allclose(np.linalg.norm(spoke, axis=-1), 0.24, atol=1e-12)
        across = np.einsum("nkc,nc->nk", spoke, CUBE[0].reshape(-1, 3))
        np.testing.assert_allclose(across, 0, atol=1e-12)

    def test_of_the_triangular_lattice_fill_a_rectangle(self):
        texture = skyrmion_lattice((12, 12))
        _, centre = directions(plot_spins_3d(texture, lattice="triangular"))
        distance = np.linalg.norm(centre[:, None] - centre, axis=-1)
        assert np.sort(distance, axis=1)[:, 1] == pytest.approx(1.0)
        assert 0 <= centre[:, 0].min() and centre[:, 0].max() < 12

    def test_are_thinned_where_they_would_hide_one_another(self):
        axis, _ = directions(plot_spins_3d(CUBE, every=2))
        np.testing.assert_allclose(axis, CUBE[0, ::2, ::2, ::2].reshape(-1, 3), atol=1e-12)
        large = HeisenbergLattice((50, 4)).random_states(1, 0)
        _, centre = directions(plot_spins_3d(large))
        assert len(np.unique(centre[:, 0].round(6))) == 17


class TestAtoms:
    CELL = SpinLatticeCrystal(
        size=1,
        element=["Fe", "O"],
        moment={"Fe": 2.2, "O": 0.0},
        mass={"Fe": 55.8, "O": 16.0},
        exchange=None,
        pair_potential=None,
    )

    def test_have_cones_along_their_moments_and_dots_without(self):
        states = self.CELL.random_states(2, 0)
        position, _, spin = states[1]
        ax = plot_atoms(states, 1)
        cones, dots = ax.collections
        cone = np.asarray(cones._faces).reshape(1, 2 * _CORNERS, 3, 3)
        tip, middle = cone[0, 0, 2], cone[0, -1, 2]
        np.testing.assert_allclose((tip + middle) / 2, position[0], atol=1e-9)
        axis = (tip - middle) / np.linalg.norm(tip - middle)
        np.testing.assert_allclose(axis, spin[0] / 2.2, atol=1e-9)
        np.testing.assert_array_equal(np.ravel(dots._offsets3d), position[1])

    def test_are_folded_into_the_cell_that_is_drawn(self):
        states = self.CELL.random_states(1, 0)
        states[0, 0, 1] += self.CELL.cell[0] - 2 * self.CELL.cell[2]
        _, dots, edges = plot_atoms(states, system=self.CELL).collections
        fraction = np.ravel(dots._offsets3d) @ np.linalg.inv(self.CELL.cell)
        assert ((fraction >= 0) & (fraction < 1)).all()
        assert len(edges._segments3d) == 12
        lengths = np.linalg.norm(np.diff(edges._segments3d, axis=1), axis=-1)
        np.testing.assert_allclose(lengths, self.CELL.cell[0, 0])

    def test_move_in_an_animation_of_a_trajectory(self):
        run = atoms_run(self.CELL)
        film = animate(run, system=self.CELL)
        film._init_draw()
        film._func(1)
        dots = film._fig.axes[0].collections[1]
        shown = np.ravel(dots._offsets3d)
        np.testing.assert_allclose(
            shown, folded(run.phase_space.values[0, 1, 0, 1], self.CELL.cell)
        )
        assert len(film._fig.axes[0].collections) == 3

    def test_are_told_apart_from_other_states(self):
        run = atoms_run(self.CELL)
        assert run.dli.summary() == "trajectory: 1 sample of 2 atoms, 2 frames to t = 1"
        assert run.dli.spin_texture(time=0).name == "3d"
        with pytest.raises(ValueError, match="2 frames; choose one"):
            plot_atoms(run)
        with pytest.raises(ValueError, match="without 'phase_space'"):
            plot_atoms(xr.Dataset({"weather": 1.0}))
        with pytest.raises(ValueError, match="expected those of atoms"):
            plot_atoms(simulate((4, 4)).spin.isel(time=0))
        with pytest.raises(ValueError, match=r"states has shape \(4, 6, 4, 3\)"):
            plot_atoms(CUBE[0])

    def test_have_units_of_their_own(self):
        run = atoms_run(self.CELL).assign_coords(temperature=("sample", [300.0]))
        run["energy"] = (("sample", "time"), [[-1.0, -1.5]])
        ax = run.dli.plot_energy()
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (fs)", "energy per atom (eV)")
        assert ax.get_legend().get_texts()[0].get_text() == "$T = 300$ K"
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), [-0.5, -0.75])
        assert run.dli.plot_energy_drift().get_xlabel() == "time (fs)"


def atoms_run(system):
    states = np.stack([system.random_states(1, seed) for seed in range(2)], axis=1)
    return xr.DataArray(
        states,
        dims=("sample", "time", *system.state_dims),
        coords={"time": [0.0, 1.0], **system.state_coords},
        name="phase_space",
    ).to_dataset()


def test_large_lattices_show_the_spins_on_three_faces():
    ax = plot_spins_3d(HeisenbergLattice(14).random_states(1, 0))
    assert len(ax.collections) == 3
    small = plot_spins_3d(CUBE, kind="faces")
    right, front, top = (c._facecolor3d[:, :3] for c in small.collections)
    shown = (CUBE[0, -1], CUBE[0, :, 0], CUBE[0, :, :, -1])
    for colors, spins in zip((right, front, top), shown, strict=True):
        np.testing.assert_allclose(colors, direction_colors(spins).reshape(-1, 3))
    planes = [np.asarray(c._faces) for c in small.collections]
    assert (planes[0][..., 0] == 3.5).all() and (planes[1][..., 1] == -0.5).all()
    assert (planes[2][..., 2] == 3.5).all()


def test_colours_tell_the_angle_and_up_from_down():
    x, y, up, down = direction_colors(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1.0]]))
    np.testing.assert_allclose(x, [1, 0, 0], atol=0.01)  # red
    assert y.argmax() == 1 and y[2] == pytest.approx(0, abs=0.05)
    assert up.min() > 0.85 and down.max() < 0.15


def test_takes_given_axes_and_leaves_their_view():
    ax = plt.figure().add_subplot(projection="3d")
    ax.view_init(elev=10, azim=20)
    assert plot_spins_3d(CUBE, ax=ax) is ax
    assert (ax.elev, ax.azim) == (10, 20)
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: plot_spins_3d(CUBE, kind="balls"), "kind='balls'"),
        (lambda: plot_spins_3d(CUBE, lattice="kagome"), "lattice='kagome'"),
        (lambda: plot_spins_3d(np.ones(3)), r"spins has shape \(3,\)"),
        (lambda: plot_spins_3d(simulate((4,))), "5 frames; choose one"),
        (lambda: plot_spins_3d(xr.Dataset({"weather": 1.0})), "without 'spin'"),
        (lambda: plot_spins_3d(CUBE, ax=plt.figure().add_subplot()), "ax is flat"),
        (lambda: plot_spins_3d(CUBE, kind="faces", lattice="triangular"), "has no faces"),
        (lambda: plot_texture(CUBE[:, :, :, 0], lattice="kagome"), "lattice='kagome'"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class TestAnimation:
    def show(self, film, k):
        film._init_draw()
        film._func(k)
        return film._fig.axes[0]

    def test_of_a_plane_shows_each_frame_like_a_picture_of_it(self):
        run = simulate((4, 6))
        ax = self.show(animate(run, 1, every=2), 2)
        cells, arrows = ax.collections
        expected = plot_texture(run.isel(time=4), 1, lattice="cubic").collections
        np.testing.assert_array_equal(cells.get_array(), expected[0].get_array())
        np.testing.assert_array_equal(arrows.U, expected[1].U)
        assert len(cells.get_paths()[0].vertices) == 4 + 1
        assert ax.get_title() == "$t = 0.4$"

    def test_of_a_lattice_in_space_shows_each_frame(self):
        run = simulate((4, 4, 4))
        axis, _ = directions(self.show(animate(run, 1), 3))
        np.testing.assert_allclose(axis, run.spin.values[1, 3].reshape(-1, 3), atol=1e-12)

    def test_of_a_chain_is_one_in_space(self):
        assert self.show(animate(simulate((4,))), 1).name == "3d"

    def test_adds_to_given_axes_without_taking_what_is_there(self):
        _, ax = plt.subplots()
        ax.scatter([0], [0])
        film = animate(simulate((4, 4)), ax=ax)
        film._init_draw()
        film._func(2)
        assert len(ax.collections) == 3

    def test_tells_when_the_sample_failed(self):
        run = simulate((4, 4))
        run["status"][0], run["failure_time"][0] = FAILED, 0.3
        film = animate(run)
        assert self.show(film, 2).get_title() == "$t = 0.2$"
        assert self.show(film, 3).get_title() == "$t = 0.3$ (failed)"

    def test_of_particles_is_that_of_their_box(self, tmp_path):
        fluid = LennardJones2D(4)
        run = VelocityVerlet(fluid, 0.01).simulate(fluid.random_states(1, 0), 0.04)
        ax = self.show(animate(run), 0)
        assert ax.get_xlim() == (0, float(run.box_length[0]))

    def test_becomes_a_gif_without_any_program(self, tmp_path):
        film = animate(simulate((4, 4)), path=tmp_path / "run.gif", every=2, interval=80, dpi=30)
        with Image.open(tmp_path / "run.gif") as image:
            assert image.n_frames == 3
            assert image.info["duration"] == 80
        save_animation(film, tmp_path / "again.gif", dpi=30)
        assert (tmp_path / "again.gif").exists()

    def test_in_mp4_says_what_is_missing_before_it_draws(self, tmp_path, monkeypatch):
        monkeypatch.setattr(matplotlib.animation.writers, "is_available", lambda name: False)
        with pytest.raises(RuntimeError, match=r"run\.mp4': MP4 needs the program ffmpeg"):
            animate(simulate((4, 4)), path=tmp_path / "run.mp4")
        assert not plt.get_fignums()

    @pytest.mark.skipif(
        not matplotlib.animation.writers.is_available("ffmpeg"), reason="there is no ffmpeg"
    )
    def test_becomes_an_mp4_where_ffmpeg_is(self, tmp_path):
        animate(simulate((4, 4)), path=tmp_path / "run.mp4", dpi=30)
        assert (tmp_path / "run.mp4").read_bytes()[4:8] == b"ftyp"

    def test_has_no_other_formats(self, tmp_path):
        with pytest.raises(ValueError, match=r"run\.avi': expected a name that ends in \.gif"):
            animate(simulate((4, 4)), path=tmp_path / "run.avi")
