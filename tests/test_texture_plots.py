"""Pictures of spins on the triangular lattice: every cell where its site is, in its colour."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from dlintegrate import HeisenbergLattice, ImplicitMidpoint, TriangularSDModel, skyrmion_lattice
from dlintegrate.metrics import (
    effective_receptive_field,
    structure_factor,
    topological_charge,
    topological_density,
)
from dlintegrate.plotting import (
    plot_receptive_field,
    plot_structure_factor,
    plot_texture,
    plot_topological_density,
)

SPINS = skyrmion_lattice((12, 24), 2, offset=0.2, perturbation=0.2, random_state=0)
ZONE_AREA = 8 * np.pi**2 / np.sqrt(3)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def cells(ax):
    """Centres and corners of the cells, and their numbers."""
    image = ax.collections[0]
    corners = np.array([path.vertices[:-1] for path in image.get_paths()])
    return corners.mean(axis=1), corners, np.asarray(image.get_array())


def area(corners):
    x, y = np.moveaxis(corners, -1, 0)
    return 0.5 * np.abs((x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1)).sum(-1))


class TestTexture:
    def test_cells_stand_at_their_sites_and_show_the_z_component(self):
        centres, corners, values = cells(plot_texture(SPINS, sample=1, wrap=False))
        x, y = np.indices((12, 24))
        np.testing.assert_allclose(centres[:, 0], (x + 0.5 * y).ravel(), atol=1e-9)
        np.testing.assert_allclose(centres[:, 1], (np.sqrt(0.75) * y).ravel(), atol=1e-9)
        np.testing.assert_array_equal(values, SPINS[1, ..., 2].ravel())
        assert corners.shape[1] == 6
        np.testing.assert_allclose(area(corners), np.sqrt(0.75))

    def test_wrapped_sites_fill_a_rectangle(self):
        centres, _, _ = cells(plot_texture(SPINS))
        assert centres[:, 0].min() >= 0 and centres[:, 0].max() < 12
        assert len(np.unique(centres.round(6), axis=0)) == 12 * 24

    def test_arrows_are_the_parts_in_the_plane_at_their_sites(self):
        quiver = plot_texture(SPINS, arrows=1).collections[1]
        in_plane = SPINS[0, ..., :2].reshape(-1, 2)
        long = np.hypot(*in_plane.T) > 0.15
        assert 0.5 < long.mean() < 1  # some point at us
        np.testing.assert_allclose(np.stack([quiver.U, quiver.V], axis=-1), in_plane[long])
        x, y = (index.ravel()[long] for index in np.indices((12, 24)))
        np.testing.assert_allclose(quiver.X, (x + 0.5 * y) % 12)

    def test_on_large_lattices_arrows_are_thinned_without_a_seam(self):
        large = np.tile(skyrmion_lattice((12, 12)), (1, 10, 10, 1))
        quiver = plot_texture(large).collections[1]
        assert quiver.N < 40**2
        # rows of arrows at equal distances, also across the edge
        rows = np.unique(np.round(quiver.Y / np.sqrt(0.75)).astype(int))
        assert set(np.diff([*rows, rows[0] + 120])) == {3}

    def test_arrows_can_be_left_out(self):
        assert len(plot_texture(SPINS, arrows=None).collections) == 1

    def test_colour_by_charge_or_by_given_numbers(self):
        ax = plot_topological_density(SPINS, 1)
        density = topological_density(SPINS[1])
        np.testing.assert_allclose(cells(ax)[2], density.ravel())
        low, high = ax.collections[0].get_clim()
        assert high == -low == pytest.approx(np.abs(density).max())
        charge = float(topological_charge(SPINS)[1])
        shown = ax.get_title().split()[-1].replace("\N{MINUS SIGN}", "-")
        assert float(shown) == pytest.approx(charge, abs=0.01)
        number = np.arange(288.0).reshape(12, 24)
        np.testing.assert_array_equal(cells(plot_texture(SPINS, color=number))[2], range(288))

    def test_takes_one_frame_of_a_trajectory_and_single_textures(self):
        run = xr.Dataset(
            {"spin": (("sample", "time", "x", "y", "component"), SPINS[:, None])}, {"time": [0.0]}
        )
        by_frame = cells(plot_texture(run.isel(time=0), 1))[2]
        np.testing.assert_array_equal(by_frame, cells(plot_texture(SPINS[1]))[2])
        with pytest.raises(ValueError, match=r"1 frames; choose one"):
            plot_texture(run)

    def test_uses_given_axes(self):
        _, (left, right) = plt.subplots(1, 2)
        assert plot_texture(SPINS, ax=left, cmap="viridis") is left
        assert left.collections[0].get_cmap().name == "viridis"
        assert not right.collections and len(plt.get_fignums()) == 1

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ({"spins": np.ones((4, 3))}, r"spins has shape \(4, 3\)"),
            ({"spins": SPINS, "color": "x"}, "color='x'"),
            ({"spins": SPINS, "color": np.ones(3)}, r"color has shape \(3,\)"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            plot_texture(**arguments)


class TestStructureFactor:
    @pytest.mark.parametrize("shape", [(12, 12), (24, 12), (60, 12)])
    def test_cells_tile_the_zone_and_hold_the_nearest_momentum(self, shape):
        spins = np.random.default_rng(0).normal(size=(2, *shape, 3))
        weight = structure_factor(spins).mean("dim_0")
        ax = plot_structure_factor(spins)
        centres, corners, values = cells(ax)
        np.testing.assert_allclose(area(corners), ZONE_AREA / np.prod(shape))
        for q, value in list(zip(centres, values, strict=True))[:: len(values) // 50]:
            phases = np.array([q[0], 0.5 * (q[0] + np.sqrt(3) * q[1])])
            images = [np.exp(1j * weight[f"q{k + 1}"].values) for k in range(2)]
            index = [
                int(np.abs(z - np.exp(1j * p)).argmin())
                for z, p in zip(images, phases, strict=True)
            ]
            assert value == pytest.approx(float(weight[tuple(index)]))
        # nothing of the zone is left blank
        zone = ax.patches[0].get_path()
        points = np.random.default_rng(1).uniform(-4, 4, size=(200, 2))
        inside = points[zone.contains_points(points)]
        nearest = np.linalg.norm(inside[:, None] - centres, axis=-1).min(axis=1)
        assert nearest.max() <= np.linalg.norm(corners[0] - centres[0], axis=-1).max() + 1e-9

    def test_the_zone_is_the_hexagon(self):
        zone = plot_structure_factor(SPINS).patches[0].get_xy()[:-1]
        np.testing.assert_allclose(np.hypot(*zone.T), 4 * np.pi / 3)
        assert area(zone) == pytest.approx(ZONE_AREA)

    def test_the_marked_vectors_are_where_the_skyrmion_lattice_has_its_weight(self):
        ax = plot_structure_factor(skyrmion_lattice((24, 24)), log=True)
        centres, _, values = cells(ax)
        marked = ax.collections[1].get_offsets()
        assert len(marked) == 6
        highest = centres[np.argsort(values)[-6:]]
        distance = np.linalg.norm(marked[:, None] - highest, axis=-1).min(axis=1)
        np.testing.assert_allclose(distance, 0, atol=1e-9)
        assert isinstance(ax.collections[0].norm, matplotlib.colors.LogNorm)

    def test_takes_what_the_metric_returned(self):
        expected = cells(plot_structure_factor(SPINS))[2]
        given = cells(plot_structure_factor(structure_factor(SPINS)))[2]
        np.testing.assert_array_equal(given, expected)
        frames = structure_factor(
            xr.DataArray(SPINS[:, None], dims=("sample", "time", "x", "y", "component"))
        )
        with pytest.raises(ValueError, match="1 frames; choose one"):
            plot_structure_factor(frames)


def test_the_zone_of_the_triangular_lattice_is_not_drawn_for_a_square_one():
    lattice = HeisenbergLattice(shape=(12, 12))
    run = ImplicitMidpoint(lattice, dt=0.1).simulate(lattice.random_states(1, 0), t_max=0.1)
    with pytest.raises(ValueError, match="spins are on a cubic lattice"):
        plot_structure_factor(run.isel(time=-1))


def test_receptive_field_has_a_cell_for_each_displacement_around_the_middle():
    model = TriangularSDModel((12, 12))
    seen = effective_receptive_field(model, skyrmion_lattice((12, 12)), n_sites=1, random_state=0)
    ax = plot_receptive_field(seen, radius=2.5)
    centres, corners, values = cells(ax)
    np.testing.assert_allclose(np.hypot(*centres.T), seen.distance.values.ravel(), atol=1e-9)
    np.testing.assert_array_equal(values, seen.values.ravel())
    np.testing.assert_allclose(area(corners), np.sqrt(0.75))
    assert ax.patches[0].get_radius() == 2.5
