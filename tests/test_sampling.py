"""Samples of thermal equilibrium: what theory and independent computations say of them."""

import json
import math

import numpy as np
import pytest

from dlintegrate._kernels import monte_carlo as moves
from dlintegrate._kernels.random import LANES, fill_uniform, stream
from dlintegrate._kernels.sweeps import masks, pack, plane_field, unpack
from dlintegrate.sampling import (
    annealing_ladder,
    diagnose_sampling,
    park_temperatures,
    sample_canonical,
)
from dlintegrate.sampling.canonical import child
from dlintegrate.sampling.diagnostics import autocorrelation_time
from dlintegrate.systems import HeisenbergLattice

TC = 1.4429
#: Energy per site of the simple cubic ferromagnet, computed elsewhere: (L, T) to (E/N, error).
ENERGY = {
    (16, 0.1): (-2.89917, 0.00005), (16, 0.2): (-2.79649, 0.00010), (16, 0.3): (-2.69166, 0.00014),
    (16, 0.5): (-2.47444, 0.00015), (16, 1.0): (-1.8502, 0.0005), (16, 2.0): (-0.5641, 0.0006),
    (16, 5.0): (-0.2035, 0.0002), (16, TC): (-1.0107, 0.0008), (8, TC): (-1.0518, 0.0008),
}  # fmt: skip
FAST = [(16, 0.5), (16, 1.0), (16, 2.0), (16, 5.0)]


def mean_energy(system, samples):
    """Energy per site and its standard error."""
    energy = system.energy(samples) / system.n_sites
    return energy.mean(), energy.std(ddof=1) / len(energy) ** 0.5


def agree(first, second, n_errors=4.0):
    """Whether two (mean, error) agree."""
    return abs(first[0] - second[0]) < n_errors * math.hypot(first[1], second[1])


def langevin(kappa):
    return 1.0 / math.tanh(kappa) - 1.0 / kappa


# --- energies -----------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "temperature"), FAST)
def test_energies_are_those_of_the_table(side, temperature):
    system = HeisenbergLattice((side,) * 3)
    samples = sample_canonical(system, temperature, 40, random_state=3)
    mean, error = mean_energy(system, samples)
    assert error < 4e-3 * max(1.0, abs(mean))
    assert agree((mean, error), ENERGY[side, temperature])


@pytest.mark.slow
@pytest.mark.parametrize(("side", "temperature"), ENERGY)
def test_energies_are_those_of_the_table_closely(side, temperature):
    system = HeisenbergLattice((side,) * 3)
    n_samples = 400 if side == 16 else 2400  # small lattices fluctuate more
    samples = sample_canonical(system, temperature, n_samples, random_state=4)
    mean, error = mean_energy(system, samples)
    assert error < 2e-3
    assert agree((mean, error), ENERGY[side, temperature])


@pytest.mark.slow
def test_binder_cumulant_at_the_critical_temperature():
    system = HeisenbergLattice((8, 8, 8))
    samples = sample_canonical(system, TC, 10_000, random_state=5)
    m2 = (system.magnetization(samples) ** 2).sum(axis=1)
    blocks = m2.reshape(20, -1)
    binder = 1 - (blocks**2).mean(axis=1) / (3 * blocks.mean(axis=1) ** 2)
    assert agree((binder.mean(), binder.std(ddof=1) / 20**0.5), (0.6229, 0.0003))


@pytest.mark.parametrize("method", ["heat_bath", "metropolis"])
@pytest.mark.parametrize("n_sites", [96, 95])  # checkerboard and site by site
def test_chain_has_the_exact_energy(n_sites, method):
    coupling, temperature = 1.5, 0.75
    system = HeisenbergLattice((n_sites,), J=coupling)
    n_sweeps = None if method == "heat_bath" else 400
    samples = sample_canonical(
        system, temperature, 60, method=method, n_sweeps=n_sweeps, random_state=6
    )
    exact = -coupling * langevin(coupling / temperature)
    assert agree(mean_energy(system, samples), (exact, 0.0))


@pytest.mark.parametrize("method", ["heat_bath", "metropolis"])
@pytest.mark.parametrize("shape", [(4, 4, 4), (5, 4, 3), (6, 4)])
def test_paramagnet_follows_the_langevin_function(shape, method):
    field = np.array([0.3, -0.4, 1.2])
    system = HeisenbergLattice(shape, J=0.0, field=tuple(field))
    samples = sample_canonical(system, 0.65, 200, method=method, n_sweeps=40, random_state=7)
    along = samples.values @ (field / 1.3)
    # spins are independent here, so all of them count
    error = along.std() / along.size**0.5
    assert agree((along.mean(), error), (langevin(1.3 / 0.65), 0.0))
    # the second moment: <c²> = 1 - 2 L(κ)/κ
    assert agree(((along**2).mean(), (along**2).std() / along.size**0.5), (1 - langevin(2.0), 0.0))
    across = np.cross(samples.values, field / 1.3).reshape(-1, 3).mean(axis=0)
    assert np.abs(across).max() < 5 / along.size**0.5


def test_without_field_or_exchange_spins_are_uniform():
    samples = sample_canonical(HeisenbergLattice((4, 4, 4), J=0.0), 1.0, 100, random_state=8)
    spins = samples.values.reshape(-1, 3)
    assert np.abs(spins.mean(axis=0)).max() < 4 * (1 / 3 / len(spins)) ** 0.5
    second = np.einsum("na,nb->ab", spins, spins) / len(spins)
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=4 * 0.3 / len(spins) ** 0.5)


@pytest.mark.parametrize("shape", [(6, 6, 6), (8, 8)])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_heat_bath_and_metropolis_agree(shape, temperature):
    system = HeisenbergLattice(shape, field=(0.0, 0.0, 0.2))
    bath = sample_canonical(system, temperature, 300, random_state=9)
    local = sample_canonical(system, temperature, 40, method="metropolis", random_state=9)
    assert agree(mean_energy(system, bath), mean_energy(system, local))


def test_site_by_site_and_checkerboard_agree(monkeypatch):
    system = HeisenbergLattice((4, 6, 4), field=(0.3, 0.0, 0.0))
    planes = sample_canonical(system, 1.2, 400, random_state=10)
    monkeypatch.setattr(moves, "_checkerboard_cycles", moves._typewriter_cycles)
    sites = sample_canonical(system, 1.2, 400, random_state=10)
    assert not np.array_equal(planes, sites)
    assert agree(mean_energy(system, planes), mean_energy(system, sites))
    along = [system.magnetization(samples)[:, 0] for samples in (planes, sites)]
    assert agree(*((m.mean(), m.std() / 20) for m in along))


@pytest.mark.parametrize("shape", [(6, 6, 6), (8, 8), (20,)])
def test_antiferromagnet_has_the_energies_of_the_ferromagnet(shape):
    ferro, antiferro = HeisenbergLattice(shape), HeisenbergLattice(shape, J=-1.0)
    first = ferro.energy(sample_canonical(ferro, 0.8, 300, random_state=11)) / ferro.n_sites
    second = antiferro.energy(sample_canonical(antiferro, 0.8, 300, random_state=12))
    second = second / ferro.n_sites
    for moment in (1, 2):
        a, b = first**moment, second**moment
        error = math.hypot(a.std(), b.std()) / 300**0.5
        assert abs(a.mean() - b.mean()) < 4 * error


# --- directions ---------------------------------------------------------------------------


@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_order_has_no_preferred_direction(coupling):
    system = HeisenbergLattice((4, 4, 4), J=coupling)
    # few sweeps, so that only a move of the whole lattice can have turned it
    samples = sample_canonical(system, 0.3, 400, n_sweeps=3, random_state=13).values
    sign = np.where(np.indices((4, 4, 4)).sum(axis=0) % 2, np.sign(coupling), 1.0)
    order = np.einsum("nxyzc,xyz->nc", samples, sign)
    direction = order / np.linalg.norm(order, axis=1, keepdims=True)
    assert np.linalg.norm(order, axis=1).min() > 0.7 * 64
    assert np.abs(direction.mean(axis=0)).max() < 4 * (1 / 3 / 400) ** 0.5
    second = np.einsum("na,nb->ab", direction, direction) / 400
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=4 * 0.3 / 400**0.5)


def test_weak_field_turns_the_whole_lattice():
    """A cold ferromagnet is one large spin, in a field that one spin hardly feels."""
    strength, temperature, n = 0.01, 0.3, 300
    system = HeisenbergLattice((6, 6, 6), field=(strength, 0.0, 0.0))
    m = system.magnetization(sample_canonical(system, temperature, n, random_state=14))
    size = np.linalg.norm(m, axis=1)
    cosine = m[:, 0] / size
    expected = langevin(strength * size.mean() / temperature)
    assert agree((cosine.mean(), cosine.std() / n**0.5), (expected, 0.0))


# --- single moves -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 4, 8), (6, 1, 4), (8, 1, 1), (5, 4, 3), (5, 1, 1)])
def test_over_relaxation_keeps_the_energy(shape):
    numbers = stream(np.random.SeedSequence(15))
    spins = np.empty((*shape, 3))
    moves.draw_random(spins, numbers)
    bias = np.array([0.1, 0.2, -0.3])
    system = HeisenbergLattice([s for s in shape if s > 1], J=-0.7, field=bias)
    sides = (1, *system.lattice_shape, 3)
    before, start = system.energy(spins.reshape(sides)), spins.copy()
    if any(side % 2 and side > 1 for side in shape):
        row, uniform = np.empty((shape[2], 3)), np.empty(LANES)
        for _ in range(20):
            moves._typewriter(spins, 0, 0.0, 0.0, -0.7, bias, numbers, uniform, row)
    else:
        over_relax_checkerboard(spins, 20, -0.7, bias)
    np.testing.assert_allclose(system.energy(spins.reshape(sides)), before, rtol=0, atol=1e-12)
    assert np.abs(spins - start).max() > 0.5
    np.testing.assert_allclose(np.linalg.norm(spins, axis=-1), 1.0, atol=1e-13)


def over_relax_checkerboard(spins, n_sweeps, coupling, bias):
    nx, ny, nz, _ = spins.shape
    packed = np.zeros((2, 3, nx // 2, (ny + 2) * nz))
    mask = masks(ny, nz)
    field, work, uniform = np.empty((3, ny * nz)), np.empty((5, ny * nz)), np.empty(LANES)
    numbers = stream(np.random.SeedSequence(0))
    pack(spins, packed)
    for _ in range(n_sweeps):
        moves.checkerboard(
            packed, mask, ny, nz, 0.0, coupling, bias, numbers, uniform, field, work
        )  # fmt: skip
    unpack(packed, spins)


@pytest.mark.parametrize("shape", [(4, 6, 8), (4, 1, 6), (6, 1, 1), (4, 8, 1)])
def test_plane_field_is_the_local_field(shape):
    nx, ny, nz = shape
    numbers = stream(np.random.SeedSequence(16))
    spins = np.empty((*shape, 3))
    moves.draw_random(spins, numbers)
    packed = np.zeros((2, 3, nx // 2, (ny + 2) * nz))
    pack(spins, packed)
    mask = masks(ny, nz)
    expected = sum(
        np.roll(spins, step, axis) for axis in range(3) if shape[axis] > 1 for step in (1, -1)
    )
    bias = np.array([0.5, -1.0, 2.0])
    fields = np.zeros_like(packed)
    for s in range(2):
        for k in range(nx // 2):
            field = np.empty((3, ny * nz))
            plane_field(packed[1 - s], k, mask[1 - s], mask[s], mask, ny, nz, 1.5, bias, field)
            fields[s, :, k, nz : (ny + 1) * nz] = field
    found = np.empty_like(spins)
    unpack(fields, found)
    np.testing.assert_allclose(found, 1.5 * expected + bias, atol=1e-14)


@pytest.mark.parametrize("kappa", [1e-12, 1e-3, 1.0, 30.0, 1e4])
def test_plane_is_drawn_from_its_distribution(kappa):
    """Mean and variance of cos θ, and the azimuth, for fields in any direction."""
    n = 40_000
    rng = np.random.default_rng(17)
    direction = rng.normal(size=(3, n))
    direction /= np.linalg.norm(direction, axis=0)
    direction[:, :3] = [[0, 0, 0], [0, 0, 0], [1, -1, 0]]  # the poles, and no field at all
    spins, work, uniform = np.empty((3, n)), np.empty((5, n)), np.empty(2 * n)
    fill_uniform(stream(np.random.SeedSequence(18)), uniform)
    moves.draw_plane(*spins, 2.0 * kappa * direction, 2.0, uniform, work)
    np.testing.assert_allclose(np.linalg.norm(spins, axis=0), 1.0, atol=1e-13)
    cosine = (spins * direction).sum(axis=0)[3:]
    mean = langevin(kappa) if kappa > 1e-2 else kappa / 3
    second = 1 - 2 * mean / kappa if kappa > 1e-2 else 1 / 3
    assert agree((cosine.mean(), cosine.std() / n**0.5), (mean, 0.0))
    assert agree(((cosine**2).mean(), (cosine**2).std() / n**0.5), (second, 0.0))
    # across the field nothing is preferred
    across = (spins - (spins * direction).sum(axis=0) * direction)[:, 3:]
    assert (np.abs(across.mean(axis=1)) < 4.5 * across.std(axis=1) / n**0.5).all()


def test_elementary_functions_are_accurate():
    rng = np.random.default_rng(19)
    x = np.concatenate([rng.uniform(0, 60, 5000), 10.0 ** rng.uniform(-12, 1, 5000), [0.0]])
    out = np.empty_like(x)
    moves.exp_negative(x.copy(), out)
    np.testing.assert_allclose(out, np.exp(-x), rtol=1e-14)
    moves.exp_negative(np.full(3, 1e8), tail := np.empty(3))
    assert (tail < 1e-30).all()
    x = np.concatenate([rng.random(5000), 2.0 ** -rng.uniform(0, 90, 5000), [1.0, 0.5, 1 - 2**-53]])
    out = np.empty_like(x)
    moves.logarithm(x.copy(), out)
    np.testing.assert_allclose(out, np.log(x), rtol=1e-15)
    turn = np.concatenate([rng.random(5000), [0.0, 0.25, 0.5, 0.75]])
    cosine, sine = np.empty_like(turn), np.empty_like(turn)
    moves.circle(turn, cosine, sine)
    np.testing.assert_allclose(cosine, -np.cos(2 * np.pi * turn), atol=3e-15)
    np.testing.assert_allclose(sine, -np.sin(2 * np.pi * turn), atol=3e-15)


def test_random_numbers_follow_their_recurrence():
    """Against xoshiro256+ written with Python's integers."""
    state = stream(np.random.SeedSequence(20))
    words = [[int(word) for word in row] for row in state]
    full = (1 << 64) - 1
    expected = []
    for _ in range(50):
        for lane in range(LANES):
            a, b, c, d = (words[k][lane] for k in range(4))
            expected.append((((a + d) & full) >> 11) * 2.0**-53)
            shifted = (b << 17) & full
            c, d = c ^ a, d ^ b
            b, a = b ^ c, a ^ d
            c, d = c ^ shifted, ((d << 45) | (d >> 19)) & full
            for k, word in enumerate((a, b, c, d)):
                words[k][lane] = word
    out = np.empty(50 * LANES)
    fill_uniform(state, out)
    np.testing.assert_array_equal(out, expected)


# --- seeds, layout and parameters ---------------------------------------------------------


@pytest.mark.parametrize("method", ["heat_bath", "metropolis"])
def test_same_bits_for_the_same_seed_whatever_n_jobs(method, monkeypatch):
    monkeypatch.setattr("dlintegrate.sampling.canonical._TASK_SIZE", 128)  # several tasks
    system = HeisenbergLattice((4, 4, 4))
    options = {"method": method, "n_sweeps": 5, "random_state": 21}
    one = sample_canonical(system, [0.5, 2.0], [4, 3], n_jobs=1, **options)
    two = sample_canonical(system, [0.5, 2.0], [4, 3], n_jobs=2, **options)
    np.testing.assert_array_equal(one.values, two.values)
    first = sample_canonical(system, 0.5, 2, **options)
    np.testing.assert_array_equal(one.values[:2], first.values)
    other = sample_canonical(system, 0.5, 2, **{**options, "random_state": 22})
    assert np.abs(other.values - first.values).max() > 0.1


def test_chains_differ_from_each_other():
    samples = sample_canonical(HeisenbergLattice((4, 4, 4)), 5.0, 6, random_state=23).values
    flat = samples.reshape(6, -1)
    overlap = flat @ flat.T / 64
    assert np.abs(overlap - np.eye(6)).max() < 0.5


def test_children_of_a_seed_are_those_of_spawn():
    root = np.random.SeedSequence(24)
    children = [child(root, i).generate_state(4) for i in range(3)]
    np.testing.assert_array_equal(children, [s.generate_state(4) for s in root.spawn(3)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: 25,
        lambda: np.random.SeedSequence(25),
        lambda: np.random.default_rng(25),
        lambda: np.random.RandomState(25),
    ],
)
def test_every_kind_of_seed(make):
    system = HeisenbergLattice((4,))
    first, again = (sample_canonical(system, 1.0, 2, random_state=make()).values for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("shape", [(6,), (4, 6), (4, 6, 8), (5, 3, 4)])
def test_layout_of_the_samples(shape):
    system = HeisenbergLattice(shape)
    samples = sample_canonical(system, [0.5, 1.0], [1, 2], n_sweeps=3, random_state=26)
    assert samples.dims == ("sample", *system.state_dims)
    assert samples.shape == (3, *shape, 3)
    assert samples.temperature.values.tolist() == [0.5, 1.0, 1.0]
    assert samples.attrs["units"] == "1" and samples.attrs["long_name"]
    parameters = json.loads(samples.attrs["parameters"])
    assert parameters["n_sweeps"] == 3 and parameters["system"]["J"] == 1.0
    np.testing.assert_allclose(np.linalg.norm(samples, axis=-1), 1.0, atol=1e-14)
    assert np.array_equal(system.validate(samples), samples.values)


def test_given_start_is_used_and_not_modified():
    system = HeisenbergLattice((6, 6, 6))
    start = np.zeros((6, 6, 6, 3))
    start[..., 0] = 1.0
    samples = sample_canonical(system, 1e-6, 3, start=start, n_sweeps=1, random_state=27)
    assert (start[..., 0] == 1.0).all()
    np.testing.assert_allclose(system.energy(samples), -3 * 216, rtol=1e-4)
    again = sample_canonical(system, 1e-6, 3, start=samples, n_sweeps=1, random_state=28)
    np.testing.assert_allclose(system.energy(again), -3 * 216, rtol=1e-4)


def test_progress_is_shown_on_request(capsys):
    sample_canonical(HeisenbergLattice((4,)), 1.0, 2, random_state=0, progress=True)
    assert "sampling" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"temperature": [1.0, -1.0]}, "temperature="),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": "warm"}, "temperature='warm'"),
        ({"temperature": []}, "temperature="),
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_samples": 2.5}, "n_samples=2.5"),
        ({"n_samples": [1, 2], "temperature": [1.0, 2.0, 3.0]}, "n_samples has 2 entries"),
        ({"n_samples": [1, -2], "temperature": [1.0, 2.0]}, "n_samples="),
        ({"method": "wolff"}, "method='wolff'"),
        ({"n_sweeps": 0}, "n_sweeps=0"),
        ({"n_sweeps": 1.5}, "n_sweeps=1.5"),
        ({"n_over_relaxation": -1}, "n_over_relaxation=-1"),
        ({"start": "hot"}, "start='hot'"),
        ({"start": np.zeros((4, 4, 4, 3))}, "start has spins off the unit sphere"),
        ({"random_state": -1}, "random_state=-1"),
        ({"random_state": "lucky"}, "random_state='lucky'"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"temperature": 1.0, "n_samples": 2, **change}
    with pytest.raises(ValueError, match=message):
        sample_canonical(HeisenbergLattice((4, 4, 4)), **arguments)


def test_number_of_start_states_must_fit():
    start = np.zeros((2, 4, 3))
    start[..., 0] = 1.0
    with pytest.raises(ValueError, match="start holds 2 states for 3 samples"):
        sample_canonical(HeisenbergLattice((4,)), 1.0, 3, start=start)


def test_unknown_system_is_refused():
    with pytest.raises(TypeError, match="no canonical sampler for str"):
        sample_canonical("Ising", 1.0, 1)


# --- temperatures -------------------------------------------------------------------------


def test_temperatures_of_the_paper():
    temperature, counts = park_temperatures()
    printed = [0.5, 0.56, 0.61, 0.67, 0.74, 0.81, 0.89, 0.98, 1.08, 1.19]
    printed += [1.31, 1.44, 1.58, 1.74, 1.92, 2.11, 2.32]
    np.testing.assert_allclose(temperature, printed, atol=1e-12)
    assert counts.sum() == 910_000
    assert counts.tolist() == [30_000] * 10 + [70_000] * 3 + [100_000] * 4


def test_fraction_scales_the_counts():
    assert park_temperatures(0.1).n_samples.sum() == 91_000
    assert park_temperatures(1e-9).n_samples.tolist() == [1] * 17
    for bad in (0, -1.0, float("nan"), [0.1]):
        with pytest.raises(ValueError, match="fraction="):
            park_temperatures(bad)


def test_training_set_of_the_paper_at_small_scale():
    samples = sample_canonical(
        HeisenbergLattice((4, 4, 4)), *park_temperatures(1e-4), n_sweeps=2, random_state=0
    )
    assert samples.sizes["sample"] == 91 and samples.temperature[-1] == 2.32


@pytest.mark.parametrize("target", [0.2, 0.5, 1.44, 2.0])
def test_ladder_falls_by_the_factor_to_the_target(target):
    ladder = annealing_ladder(target)
    assert ladder[-1] == target and 2.4 / 1.1 < ladder[0] <= 2.4
    ratios = ladder[:-2] / ladder[1:-1]
    np.testing.assert_allclose(ratios, 1.1)
    assert 1.0 < ladder[-2] / ladder[-1] <= 1.1 + 1e-9
    on_rung = np.log(ladder[:-1] / 1.44) / np.log(1.1)
    np.testing.assert_allclose(on_rung, np.round(on_rung), atol=1e-9)


def test_ladder_scales_and_refuses():
    np.testing.assert_allclose(annealing_ladder(1.0, scale=2.0), 2 * annealing_ladder(0.5))
    assert annealing_ladder(7.0).tolist() == [7.0]
    for bad in ({"temperature": 0.0}, {"temperature": 1.0, "factor": 1.0}):
        with pytest.raises(ValueError, match="expected"):
            annealing_ladder(**bad)


# --- diagnosis ----------------------------------------------------------------------------


def test_autocorrelation_time_of_a_known_process():
    """First-order autoregression: τ = ½ (1 + a)/(1 - a)."""
    rng = np.random.default_rng(29)
    a, x = 0.8, np.zeros((8, 5000))
    for t in range(1, x.shape[1]):
        x[:, t] = a * x[:, t - 1] + rng.normal(size=8)
    assert autocorrelation_time(x[:, 100:]) == pytest.approx(4.5, rel=0.1)
    assert autocorrelation_time(rng.normal(size=(8, 5000))) == pytest.approx(0.5, abs=0.03)
    assert np.isnan(autocorrelation_time(np.ones((2, 10))))


def test_default_sweeps_suffice_at_the_critical_temperature():
    report = diagnose_sampling(HeisenbergLattice((8, 8, 8)), [0.4, TC], random_state=30)
    assert report.sufficient.all()
    assert (report.n_sweeps >= 10 * report.autocorrelation_time.max("quantity")).all()
    assert report.energy.sizes["sweep"] == 6 * int(report.n_sweeps.max()) + 1
    late = report.energy.isel(sweep=slice(-100, None)).mean(("start", "chain", "sweep")) / 512
    assert late.values == pytest.approx([-2.589, -1.052], abs=0.02)


def test_too_few_sweeps_are_found_out():
    system = HeisenbergLattice((8, 8, 8))
    options = {"n_over_relaxation": 0, "random_state": 31, "length": 20}
    assert not diagnose_sampling(system, TC, n_sweeps=10, **options).sufficient


@pytest.mark.slow
@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("method", ["heat_bath", "metropolis"])
def test_default_sweeps_suffice(side, method):
    system = HeisenbergLattice((side,) * 3)
    report = diagnose_sampling(system, TC, method=method, n_chains=4, length=4, random_state=32)
    assert report.sufficient.all()


@pytest.mark.parametrize("bad", [{"n_chains": 1}, {"length": 0}, {"temperature": -1.0}])
def test_diagnosis_names_bad_input(bad):
    with pytest.raises(ValueError, match="expected"):
        diagnose_sampling(HeisenbergLattice((4,)), **{"temperature": 1.0, **bad})


def test_diagnosis_of_an_antiferromagnet_follows_the_staggered_order():
    system = HeisenbergLattice((4, 4, 4), J=-1.0)
    report = diagnose_sampling(system, 0.1, n_chains=4, random_state=33)
    assert report.order_parameter.isel(sweep=-1).min() > 0.9 * 64
