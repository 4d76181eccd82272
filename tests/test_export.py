"""Files for other programs: read back by the libraries that wrote them, they hold the numbers."""

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dlintegrate import (
    HeisenbergLattice,
    ImplicitMidpoint,
    LennardJones2D,
    SpinLatticeCrystal,
    VelocityVerlet,
    export,
    skyrmion_lattice,
)
from dlintegrate._export import FORMATS

ROOT = Path(__file__).resolve().parents[1]
FLUID = LennardJones2D(6)
IRON = SpinLatticeCrystal(size=1)


@pytest.fixture(scope="module")
def spins():
    lattice = HeisenbergLattice((3, 4, 5))
    start = lattice.random_states(2, 0, order=1.0)
    return ImplicitMidpoint(lattice, 0.1).simulate(start, 0.4, save_every=2)


@pytest.fixture(scope="module")
def particles():
    start = FLUID.random_states(2, 0)
    start[1, 0] += 2 * 5.0 * FLUID.random_states(1, 1)[0, 1]  # some leave the box
    return VelocityVerlet(FLUID, 0.01).simulate(start, 0.2, save_every=10)


@pytest.fixture(scope="module")
def atoms():
    states = np.stack([IRON.random_states(1, seed) for seed in range(2)], axis=1)
    states[0, 1, 0, 0] -= 2 * IRON.cell[1]
    return xr.DataArray(
        states,
        dims=("sample", "time", *IRON.state_dims),
        coords={"time": [0.0, 1.0], **IRON.state_coords},
        name="phase_space",
    ).to_dataset()


def folded(positions, side):
    return positions - side * np.floor(positions / side)


def in_plane(vectors):
    assert (vectors[:, 2] == 0).all()
    return vectors[:, :2]


@pytest.mark.parametrize("suffix", ["vtu", "vtk"])
def test_spins_in_vtk_stand_on_their_sites_in_one_file_per_frame(spins, suffix, tmp_path):
    meshio = pytest.importorskip("meshio")
    paths = export(spins, tmp_path / f"run.{suffix}", sample=1)
    assert [path.name for path in paths] == [f"run.{k:04d}.{suffix}" for k in range(3)]
    for k, path in enumerate(paths):
        mesh = meshio.read(path)
        sites = mesh.points.astype(int)
        np.testing.assert_array_equal(sites, mesh.points)
        np.testing.assert_array_equal(
            mesh.point_data["spin"], spins.spin.values[1, k][tuple(sites.T)]
        )


def test_cells_in_vtk_are_unit_cubes_that_fill_the_lattice(spins, tmp_path):
    meshio = pytest.importorskip("meshio")
    (path,) = export(spins.isel(time=0), tmp_path / "run.vtu")
    mesh = meshio.read(path)
    corners = mesh.points[mesh.cells_dict["hexahedron"]]
    assert len(corners) == 2 * 3 * 4
    # VTK numbers corners around the lower face, then around the upper one
    square = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    cube = np.concatenate([square, square + np.array([0, 0, 1])])
    np.testing.assert_array_equal(corners - corners[:, :1], np.broadcast_to(cube, corners.shape))


def test_a_triangular_lattice_has_neighbours_at_a_distance_of_one(tmp_path):
    meshio = pytest.importorskip("meshio")
    texture = skyrmion_lattice((12, 12))
    (path,) = export(texture, tmp_path / "texture.vtu", lattice="triangular")
    mesh = meshio.read(path)
    np.testing.assert_array_equal(mesh.point_data["spin"], texture[0].reshape(-1, 3))
    distance = np.linalg.norm(mesh.points[:, None] - mesh.points, axis=-1)
    assert np.sort(distance, axis=1)[:, 1] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="rectangular mesh"):
        pytest.importorskip("pyovf")
        export(texture, tmp_path / "texture.ovf", lattice="triangular")


def test_xdmf_holds_the_series_with_its_times(spins, tmp_path):
    meshio = pytest.importorskip("meshio")
    (path,) = export(spins, tmp_path / "run.xdmf")
    with meshio.xdmf.TimeSeriesReader(path) as file:
        file.read_points_cells()
        for k in range(3):
            time, data, _ = file.read_data(k)
            assert time == spins.time.values[k]
            np.testing.assert_allclose(
                data["spin"], spins.spin.values[0, k].reshape(-1, 3), rtol=1e-15
            )


def test_ovf_holds_spins_in_single_precision_with_x_running_first(spins, tmp_path):
    pyovf = pytest.importorskip("pyovf")
    path = export(spins, tmp_path / "run.ovf")[2]
    file = pyovf.read(path, verbose=False)
    assert (file.xstepsize, file.ystepsize, file.zstepsize) == (1, 1, 1)
    expected = spins.spin.isel(sample=0, time=2).transpose("z", "y", "x", "component")
    np.testing.assert_allclose(file.data, expected, atol=1e-7)
    header = path.read_bytes()[:1000].decode(errors="ignore")
    for line in ("xnodes: 3", "ynodes: 4", "znodes: 5", "xmin: -0.5", "xmax: 2.5", "zmax: 4.5"):
        assert f"# {line}\n" in header


@pytest.mark.parametrize("suffix", ["xyz", "extxyz"])
def test_extended_xyz_holds_unwrapped_particles_their_momenta_and_the_box(
    particles, suffix, tmp_path
):
    io = pytest.importorskip("ase.io")
    (path,) = export(particles, tmp_path / f"run.{suffix}", sample=1)
    frames = io.read(path, index=":", format="extxyz")
    assert len(frames) == 3
    for k, atoms in enumerate(frames):
        position, momentum = particles.phase_space.values[1, k]
        np.testing.assert_allclose(in_plane(atoms.positions), position, atol=1e-8)
        np.testing.assert_allclose(in_plane(atoms.get_velocities()), momentum, atol=1e-8)
        assert atoms.info["time"] == pytest.approx(float(particles.time[k]))
        side = float(particles.box_length[1])
        np.testing.assert_allclose(np.diag(atoms.cell), [side, side, 0])
        assert atoms.pbc.tolist() == [True, True, False]


def test_extended_xyz_holds_spins_as_vectors(spins, tmp_path):
    io = pytest.importorskip("ase.io")
    (path,) = export(spins, tmp_path / "run.xyz", every=2)
    first, last = io.read(path, index=":")
    np.testing.assert_allclose(
        last.arrays["spin"], spins.spin.values[0, 2].reshape(-1, 3), atol=1e-8
    )
    np.testing.assert_array_equal(np.diag(first.cell), [3, 4, 5])


def test_gsd_holds_particles_in_the_box_and_counts_their_crossings(particles, tmp_path):
    hoomd = pytest.importorskip("gsd.hoomd")
    (path,) = export(particles, tmp_path / "run.gsd", sample=1)
    side = float(particles.box_length[1])
    with hoomd.open(path) as file:
        assert len(file) == 3
        crossings = np.zeros(2)
        for k, frame in enumerate(file):
            position, momentum = particles.phase_space.values[1, k]
            box, image = frame.configuration.box[:3], frame.particles.image
            np.testing.assert_allclose(box, [side, side, 0], rtol=1e-6)
            assert frame.configuration.dimensions == 2
            assert (np.abs(frame.particles.position[:, :2]) <= side / 2 * (1 + 1e-6)).all()
            unwrapped = in_plane(frame.particles.position + image * box)
            np.testing.assert_allclose(unwrapped, position, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(in_plane(frame.particles.velocity), momentum, rtol=1e-6)
            assert frame.log["time"][0] == particles.time.values[k]
            crossings += np.abs(image[:, :2]).sum(axis=0)
    assert crossings.all()


def test_particles_in_vtk_lie_in_the_box(particles, tmp_path):
    meshio = pytest.importorskip("meshio")
    path = export(particles, tmp_path / "run.vtk", sample=1)[1]
    mesh = meshio.read(path)
    position, momentum = particles.phase_space.values[1, 1]
    side = float(particles.box_length[1])
    np.testing.assert_allclose(in_plane(mesh.points), folded(position, side), atol=1e-12)
    np.testing.assert_array_equal(in_plane(mesh.point_data["momentum"]), momentum)


class TestAtoms:
    def test_extended_xyz_has_the_velocities_the_masses_and_the_cell(self, atoms, tmp_path):
        io = pytest.importorskip("ase.io")
        from ase import units

        (path,) = export(atoms, tmp_path / "run.xyz", system=IRON)
        for k, frame in enumerate(io.read(path, index=":")):
            position, momentum, spin = atoms.phase_space.values[0, k]
            np.testing.assert_allclose(frame.positions, position, atol=1e-8)
            np.testing.assert_allclose(frame.arrays["spin"], spin, atol=1e-8)
            np.testing.assert_allclose(frame.cell, IRON.cell, atol=1e-8)
            np.testing.assert_allclose(frame.get_masses(), 55.845, rtol=1e-4)
            velocity = frame.get_velocities() * units.fs  # Å/fs
            np.testing.assert_allclose(velocity, momentum / IRON.masses[:, None], atol=1e-8)
            assert frame.symbols.get_chemical_formula() == "Fe2"
            assert frame.pbc.all()

    def test_gsd_has_velocities_and_spins(self, atoms, tmp_path):
        hoomd = pytest.importorskip("gsd.hoomd")
        (path,) = export(atoms, tmp_path / "run.gsd", system=IRON)
        with hoomd.open(path) as file:
            frame, (position, momentum, spin) = file[1], atoms.phase_space.values[0, 1]
            box = frame.configuration.box[:3]
            np.testing.assert_allclose(box, np.diag(IRON.cell), rtol=1e-6)
            unwrapped = frame.particles.position + frame.particles.image * box
            np.testing.assert_allclose(unwrapped, position, atol=1e-5)
            velocity = frame.particles.velocity * frame.particles.mass[:, None]
            np.testing.assert_allclose(velocity, momentum, rtol=1e-5)
            np.testing.assert_array_equal(frame.log["particles/spin"], spin)
            assert frame.particles.types == ["Fe"]

    def test_vtk_folds_them_into_a_skewed_cell(self, atoms, tmp_path):
        meshio = pytest.importorskip("meshio")
        skewed = IRON.cell + np.array([[0, 0, 0], [1.0, 0, 0], [0, 0, 0]])
        positions = IRON.reference_positions
        system = SpinLatticeCrystal(cell_vectors=skewed, positions=positions, element="Fe")
        path = export(atoms, tmp_path / "run.vtk", system=system)[0]
        mesh = meshio.read(path)
        fraction = mesh.points @ np.linalg.inv(skewed)
        assert (fraction >= 0).all() and (fraction < 1).all()
        moved = (mesh.points - atoms.phase_space.values[0, 0, 0]) @ np.linalg.inv(skewed)
        np.testing.assert_allclose(moved, moved.round(), atol=1e-12)
        assert set(mesh.point_data) == {"momentum", "spin"}
        pytest.importorskip("gsd")
        with pytest.raises(ValueError, match="boxes at right angles"):
            export(atoms, tmp_path / "run.gsd", system=system)

    def test_need_their_system(self, atoms, tmp_path):
        pytest.importorskip("ase")
        with pytest.raises(ValueError, match="system=None: states of atoms do not tell their cell"):
            export(atoms, tmp_path / "run.xyz")
        with pytest.raises(ValueError, match="system has 16 atoms, the states have 2"):
            export(atoms, tmp_path / "run.xyz", system=SpinLatticeCrystal(size=2))


@pytest.mark.parametrize("shape, kind", [((4,), "line"), ((3, 4), "quad")])
def test_chains_and_planes_are_one_file_for_samples_without_a_time(shape, kind, tmp_path):
    meshio = pytest.importorskip("meshio")
    states = HeisenbergLattice(shape).random_states(2, 0)
    assert export(states, tmp_path / "state.vtu", sample=1) == [tmp_path / "state.vtu"]
    mesh = meshio.read(tmp_path / "state.vtu")
    np.testing.assert_array_equal(mesh.point_data["spin"], states[1].reshape(-1, 3))
    edge = mesh.points[mesh.cells_dict[kind][0]]
    np.testing.assert_array_equal(edge[1] - edge[0], np.eye(3)[len(shape) - 1 - (kind == "quad")])


@pytest.mark.parametrize(
    "name, module", [("a.vtu", "meshio"), ("a.ovf", "pyovf"), ("a.xyz", "ase"), ("a.gsd", "gsd")]
)
def test_a_missing_library_is_named_with_the_remedy(
    name, module, spins, particles, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, module, None)
    run = particles if name == "a.gsd" else spins
    with pytest.raises(ImportError, match=rf'by {module}, .*pip install "dlintegrate\[export\]"'):
        export(run, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_extra_installs_every_library():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {line.split(">")[0] for line in project["project"]["optional-dependencies"]["export"]}
    assert wanted == {form.library for form in FORMATS.values()}


def test_what_a_format_cannot_hold_is_refused_with_those_that_can(spins, particles, tmp_path):
    with pytest.raises(ValueError, match=r"a\.gsd': \.gsd cannot hold spins; \['\.vtu'"):
        export(spins, tmp_path / "a.gsd")
    with pytest.raises(ValueError, match=r"\.ovf cannot hold particles; .*'\.gsd'"):
        export(particles, tmp_path / "a.ovf")
    with pytest.raises(ValueError, match=r"a\.pdf': expected a name that ends in one of"):
        export(spins, tmp_path / "a.pdf")


@pytest.mark.parametrize(
    "states, message",
    [
        (np.zeros((4, 3)), r"states has shape \(4, 3\); expected spins"),
        (xr.Dataset({"weather": 1.0}), "states is a Dataset|has no variable"),
        (FLUID.random_states(1, 0), "expected spins"),
    ],
)
def test_what_is_no_state_is_refused(states, message, tmp_path):
    pytest.importorskip("meshio")
    with pytest.raises(ValueError, match=message):
        export(states, tmp_path / "a.vtu")
