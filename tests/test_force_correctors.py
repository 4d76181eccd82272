"""Learned effective forces: the paper's equations, what they must keep, and their training."""

import itertools
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dlintegrate import (
    BlanesMoanRKN4,
    CombinedForce,
    CorrectedIntegrator,
    FieldTraining,
    GraphForce,
    HeisenbergLattice,
    LennardJones2D,
    ManyBodyForce,
    PairwiseForce,
    RollOut,
    SuzukiTrotter2,
    VelocityVerlet,
    load,
    save,
)
from dlintegrate.correctors import _force_modules as modules
from dlintegrate.correctors.roll_out import _Loss
from dlintegrate.testing import check_integrator

PAPER = (PairwiseForce, ManyBodyForce, CombinedForce)
KINDS = [(cls, equivariant) for cls in PAPER for equivariant in (False, True)]
DT = 0.1


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def base_step(n=5, density=0.15, **system):
    return VelocityVerlet(LennardJones2D(n, density, **system), DT)


def packed(base, n_samples, seed=0):
    system = base.system
    return system.validate(system.random_states(n_samples, np.random.default_rng(seed)))


def labels(base, array, horizon=1):
    """States after 1 to ``horizon`` large steps, converged."""
    reference, out = BlanesMoanRKN4(base.system, DT / 20), []
    for _ in range(horizon):
        array = reference.advance(array, 20)
        out.append(array)
    return out[0] if horizon == 1 else np.stack(out, axis=1)


def quick(**options):
    short = {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "validation_fraction": 0}
    return RollOut(**short | options)


@pytest.mark.parametrize("training", [FieldTraining(), RollOut, {"epochs": 1}])
def test_training_is_a_roll_out(training):
    corrector = PairwiseForce(training=training)
    base = base_step()
    with pytest.raises(TypeError, match=r"training=.*: expected a RollOut or None"):
        CorrectedIntegrator(base, corrector).fit(base.system.random_states(2, 0))


def make(cls, training=None, **parameters):
    small = {"width": 8, "depth": 1, **parameters}
    return cls(training=training or quick(), **small)


def fit(corrector, base=None, n_samples=48, seed=0):
    base = base or base_step()
    array = packed(base, n_samples, seed)
    return corrector.fit(base, array, labels(base, array, corrector.horizon), random_state=seed)


def louder(corrector, seed=0):
    """Weights large enough that every term of a force matters."""
    rng = np.random.default_rng(seed)
    for name, value in corrector.weights_.items():
        corrector.weights_[name] = value + 0.1 * rng.normal(size=value.shape).astype(value.dtype)
    corrector._modules = {}
    return corrector


_cache = {}


def fitted(cls, equivariant=True, **parameters):
    """A quickly fitted corrector of five particles; shared, not to be changed."""
    key = (cls, equivariant, *parameters.items())
    if key not in _cache:
        if cls is not GraphForce:
            parameters = {"equivariant": equivariant, **parameters}
        _cache[key] = louder(fit(make(cls, **parameters)))
    return _cache[key]


# --- the paper's equations, written out with loops -------------------------------------------


def perceptron(weights, prefix, x):
    """Two layers with x / (1 + exp(-x)) in between."""
    hidden = weights[f"{prefix}.0.weight"].astype(float) @ x + weights[f"{prefix}.0.bias"]
    hidden = hidden / (1.0 + np.exp(-hidden))
    return weights[f"{prefix}.2.weight"].astype(float) @ hidden + weights[f"{prefix}.2.bias"]


def image(d, side):
    return d - side * np.round(d / side)


def lj_gradient(d):
    r = np.hypot(*d)
    return -24.0 * (2.0 * r**-13 - r**-7) * d / r


def pairwise_force(weights, prefix, q, p, side):
    """Eq. 5.5; in units of 2/dt (ε = σ = 1)."""
    out = np.zeros_like(q)
    for i, k in itertools.permutations(range(len(q)), 2):
        x = np.concatenate([image(q[i] - q[k], side), p[i] - p[k], [DT / 2]])
        out[i] += perceptron(weights, prefix, x) * 2 / DT
    return out


def fields_at(u, i, q, p, side, clip):
    """Eqs 5.7-5.10 at one grid point."""
    gradient = sum(lj_gradient(image(u - q[k], side)) for k in range(len(q)) if k != i)
    w = [1.0 / np.hypot(*image(u - q[k], side)) for k in range(len(q))]
    return np.clip(gradient, -clip, clip), sum(a * b for a, b in zip(w, p, strict=True)) / sum(w)


def many_body_force(weights, prefix, q, p, side, radius=0.1, clip=108.35):
    """Eq. 5.11."""
    out = np.zeros_like(q)
    for i in range(len(q)):
        x = []
        for corner in range(6):
            angle = np.pi / 3 * corner
            u = q[i] + radius * np.array([np.cos(angle), np.sin(angle)])
            gradient, velocity = fields_at(u, i, q, p, side, clip)
            x += [*(0.5 * np.arcsinh(gradient)), *(velocity - p[i])]
        out[i] = perceptron(weights, prefix, np.array([*x, DT / 2])) * 2 / DT
    return out


def combined_force(weights, prefix, q, p, side):
    """Eq. 5.13."""
    place = prefix.removesuffix(".net")
    gamma = 1.0 / (1.0 + np.exp(-float(weights[f"{place}.weight"])))
    many = many_body_force(weights, f"{place}.many_body.net", q, p, side)
    return gamma * many + (1 - gamma) * pairwise_force(weights, f"{place}.pairwise.net", q, p, side)


@pytest.mark.parametrize(
    ("cls", "force"),
    [(PairwiseForce, pairwise_force), (ManyBodyForce, many_body_force),
     (CombinedForce, combined_force)],
)  # fmt: skip
def test_plain_step_is_the_papers(cls, force):
    """Eqs 5.1-5.3 with the forces of Eqs 5.4-5.14; a particle is many boxes away."""
    corrector, base = fitted(cls, equivariant=False), base_step()
    array = packed(base, 2, seed=5)
    array[:, 0, 1] += 3 * array[:, 0, -1]
    result = corrector.bind(base).advance(array, 1)
    for before, after in zip(array, result, strict=True):
        q, p, side = before[0, :-1], before[1, :-1], before[0, -1, 0]
        p = p + DT / 2 * force(corrector.weights_, "before.net", q, p, side)
        q = q + DT * p
        p = p + DT / 2 * force(corrector.weights_, "after.net", q, p, side)
        assert np.abs(after[0, :-1] - q).max() < 1e-12
        assert np.abs(after[1, :-1] - p).max() < 1e-12


def _fields(q, p, side, clip, floor=0.1):
    q, p = (torch.as_tensor(x)[None] for x in (q, p))
    d, v = modules.all_differences(q, p, torch.tensor([side], dtype=torch.float64), torch.float64)
    n = q.shape[1]
    axis = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(n, 2)
    law = LennardJones2D().law
    compute = modules.Fields(law, 1.0, clip, floor)
    sides = torch.full((n,), side, dtype=torch.float64)
    return [x.numpy() for x in compute(d, v, sides, torch.arange(n), axis)]


def test_gradient_is_clipped_component_by_component():
    """Eq. 5.8: the second particle lies 0.8 from a corner of the hexagon around the first."""
    q = np.array([[0.0, 0.0], [1.8 + 1e-3, 0.01], [-1.95, 0.0]])
    p = np.array([[0.1, 0.2], [-0.3, 0.4], [0.2, -0.5]])
    for clip in (108.35, 20.0, 1e6):
        gradient, velocity = _fields(q, p, 20.0, clip)
        for i, corner in itertools.product(range(3), range(6)):
            angle = np.pi / 3 * corner
            u = q[i] + [np.cos(angle), np.sin(angle)]
            expected, momentum = fields_at(u, i, q, p, 20.0, clip)
            assert gradient[i, corner] == pytest.approx(expected, rel=1e-10, abs=1e-12)
            assert velocity[i, corner] == pytest.approx(momentum - p[i], abs=1e-12)
        assert np.abs(gradient).max() <= clip
    assert np.abs(gradient).max() > 108.35
    assert _fields(q, p, 20.0, 108.35)[0][0, 0] == pytest.approx([108.35, 9.298], abs=1e-3)


def test_grid_point_on_a_particle_is_finite():
    q = np.array([[0.0, 0.0], [1.0, 0.0]])
    gradient, velocity = _fields(q, 0 * q, 20.0, 108.35)
    assert np.isfinite(gradient).all()
    assert np.isfinite(velocity).all()


def test_gammas_are_learned_lie_between_0_and_1_and_survive_a_file(tmp_path):
    corrector = fit(make(CombinedForce, quick(epochs=3, learning_rate=0.03)))
    gammas = corrector.gammas_
    assert len(gammas) == 2
    assert all(0 < g < 1 for g in gammas)
    assert all(g != 0.5 for g in gammas)
    save(corrector, tmp_path / "c.safetensors")
    again = load(tmp_path / "c.safetensors")
    assert again.gammas_ == gammas
    assert {k: w.shape for k, w in again.weights_.items()} == {
        k: w.shape for k, w in corrector.weights_.items()
    }
    for name in ("before.weight", "after.weight"):
        corrector.weights_[name] = np.array(9.0)
    assert all(0.999 < g < 1 for g in corrector.gammas_)
    with pytest.raises(NotFittedError):
        CombinedForce().gammas_  # noqa: B018


def test_gamma_of_0_is_the_pairwise_force():
    corrector, base = louder(fit(make(CombinedForce))), base_step()
    pairwise = fit(make(PairwiseForce))
    for place in ("before", "after"):
        corrector.weights_[f"{place}.weight"] = np.array(-np.inf)
        for name in pairwise.weights_:
            if name.startswith(place):
                theirs = name.replace(f"{place}.", f"{place}.pairwise.")
                pairwise.weights_[name] = corrector.weights_[theirs]
    array = packed(base, 3)
    a, b = (c.bind(base).advance(array, 1) for c in (corrector, pairwise))
    assert np.abs(a - b).max() < 1e-13


# --- what the steps keep ------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "equivariant"), [*KINDS, (GraphForce, True)])
def test_declared_guarantees_hold(cls, equivariant):
    corrector, base = fitted(cls, equivariant), base_step()
    step = corrector.bind(base)
    shared = {"translation_equivariant", "galilean_equivariant", "permutation_equivariant"}
    built_in = {"momentum", "rotation_equivariant"}
    assert step.guarantees == (shared | built_in if equivariant else shared)
    check_integrator(step, max_examples=3)


def test_corners_on_the_neighbours_do_not_amplify_rounding():
    """Hexagons of radius 1 have corners within rounding of the line to the neighbour."""
    check_integrator(
        fitted(ManyBodyForce, grid_radius=1.0).bind(base_step(density=0.25)), max_examples=3
    )


@pytest.mark.parametrize("cls", PAPER)
def test_plain_forces_keep_neither_momentum_nor_rotations(cls):
    """Which is why they declare neither."""
    corrector, base = fitted(cls, equivariant=False), base_step()
    array = packed(base, 3)
    after = corrector.bind(base).advance(array, 1)
    change = (after - array)[:, 1, :-1].sum(axis=1)
    assert np.abs(change).max() > 1e-3
    turned = array.copy()
    turned[:, :, :-1] = array[:, :, :-1][..., ::-1]
    assert np.abs(corrector.bind(base).advance(turned, 1)[..., ::-1] - after).max() > 1e-3


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("cls", [*PAPER, GraphForce])
def test_momentum_is_kept_to_rounding_whatever_the_precision(cls, precision):
    base = base_step(density=0.4)
    corrector = fitted(cls, precision=precision)
    step = corrector.bind(base)
    assert "momentum" in step.guarantees
    array = packed(base, 4)
    after = step.advance(array, 5)
    assert np.abs(after - array)[:, 1].max() > 0.1
    change = (after - array)[:, 1, :-1].sum(axis=1)
    assert np.abs(change).max() < 1e-12 * max(1.0, np.abs(after[:, 1]).max())


@pytest.mark.parametrize("cls", [*PAPER, GraphForce])
def test_single_precision_declares_less_and_agrees_with_double(cls):
    double, single, base = fitted(cls), fitted(cls, precision="single"), base_step()
    for name in double.weights_:
        single.weights_[name] = double.weights_[name]
    single._modules = {}
    assert single.guarantees(base) <= {"momentum"}
    array = packed(base, 3)
    a, b = (c.bind(base).advance(array, 1) for c in (double, single))
    assert np.abs(a - b).max() < 1e-3
    check_integrator(single.bind(base), max_examples=2)


@pytest.mark.parametrize("cls", [*PAPER, GraphForce])
def test_forces_turn_with_the_sample_by_any_angle(cls):
    """Away from the borders of the box, not only by its symmetries."""
    base, angle = base_step(density=0.01), 0.7
    array = packed(base_step(), 3)
    array[:, 0, -1] = base.system.box_length
    array[:, 0, :-1] -= array[:, 0, :-1].mean(axis=1, keepdims=True)
    turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])
    turned = array.copy()
    turned[:, :, :-1] = array[:, :, :-1] @ turn.T
    step = fitted(cls).bind(base)
    expected = step.advance(array, 1)[:, :, :-1] @ turn.T
    assert np.abs(step.advance(turned, 1)[:, :, :-1] - expected).max() < 1e-11
    assert np.abs(expected - turned[:, :, :-1])[:, 1].max() > 1e-2


@pytest.mark.parametrize("n", [2, 3, 30])
@pytest.mark.parametrize(("cls", "equivariant"), [*KINDS, (GraphForce, True)])
def test_any_number_of_particles(cls, equivariant, n):
    base = base_step(n)
    array = packed(base, 2)
    after = fitted(cls, equivariant).bind(base).advance(array, 1)
    assert after.shape == array.shape
    assert np.isfinite(after).all()
    assert (after[:, :, -1] == array[:, :, -1]).all()


@pytest.mark.parametrize("cls", [PairwiseForce, ManyBodyForce])
def test_an_isolated_particle_is_free(cls):
    """Equivariant forces end far away, where a network alone would extrapolate."""
    base = base_step(2, density=2e-4)
    array = packed(base, 1)
    array[0, 0, :2] = [[0, 0], [40, 0]]
    after = fitted(cls).bind(base).advance(array, 1)
    assert np.abs(after[:, 1] - array[:, 1]).max() < 1e-6


@pytest.mark.parametrize(("cls", "equivariant"), KINDS)
def test_passes_and_batches_do_not_matter(cls, equivariant, monkeypatch):
    corrector, base = fitted(cls, equivariant), base_step()
    array = packed(base, 6)
    together = corrector.bind(base).advance(array, 1)
    monkeypatch.setattr("dlintegrate.correctors.force._PAIRS_PER_PASS", 80)
    monkeypatch.setattr(modules, "_FIELDS_PER_PASS", 20)
    assert np.abs(corrector.bind(base).advance(array, 1) - together).max() < 1e-12


@pytest.mark.parametrize(("cls", "equivariant"), [*KINDS, (GraphForce, True)])
def test_tensor_step_differentiates(cls, equivariant):
    corrector, base = fitted(cls, equivariant), base_step()
    array = packed(base, 2)
    tensor = torch.tensor(array, requires_grad=True)
    out = corrector.bind(base).advance_tensor(tensor, 2)
    assert np.abs(out.detach().numpy() - corrector.bind(base).advance(array, 2)).max() < 1e-11
    out[:, :, :-1].square().sum().backward()
    assert torch.isfinite(tensor.grad).all()
    assert tensor.grad[:, :, :-1].abs().min() > 0


@pytest.mark.parametrize("cls", PAPER)
def test_units_scale(cls):
    """The same weights, in a fluid of another ε and σ, make the same motion in its units."""
    corrector, base = fitted(cls), base_step()
    array = packed(base, 2)
    expected = corrector.bind(base).advance(array, 1)
    epsilon, sigma = 2.5, 1.7
    scale = np.array([sigma, np.sqrt(epsilon)])[:, None, None]
    step = DT * sigma / np.sqrt(epsilon)
    other = VelocityVerlet(LennardJones2D(5, 0.15, epsilon=epsilon, sigma=sigma), step)
    copy = pickle.loads(pickle.dumps(corrector))
    copy.dt_ = step
    moved = copy.bind(other).advance(array * scale, 1) / scale
    assert np.abs(moved - expected).max() < 1e-11


# --- training --------------------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "equivariant"), KINDS)
def test_roll_out_reduces_the_loss(cls, equivariant):
    training = quick(horizons=(1, 2), epochs=(20, 8), learning_rate=1e-2, batch_size=8)
    corrector = make(cls, training, equivariant=equivariant, width=16)
    history = fit(corrector, base_step(density=0.4)).history_
    assert history["horizon"] == [1] * 20 + [2] * 8
    assert history["loss"][19] < (0.6 if equivariant else 0.95) * history["loss"][0]
    assert history["loss"][27] < history["loss"][20]


def test_loss_is_eq_5_15():
    """Of free flight, so that the result is known: norms, weight of the energy, images."""

    class Free:
        @staticmethod
        def step(q, p, side):
            return q + DT * p, p

    base = base_step()
    array = packed(base, 3)
    label = labels(base, array, 2)[:, 1]
    batch = {"start": torch.as_tensor(array), "label": torch.as_tensor(label)}
    dq = array[:, 0, :-1] + 2 * DT * array[:, 1, :-1] - label[:, 0, :-1]
    dp = (array - label)[:, 1, :-1]
    norms = np.stack([np.sqrt((x**2).sum((1, 2))) for x in (dq, dp)])
    law = base.system.law
    assert float(_Loss(2, 0.0, False, law)(Free, batch)) == pytest.approx(norms.sum(0).mean())
    assert float(_Loss(2, 0.0, True, law)(Free, batch)) == pytest.approx((norms**2).sum(0).mean())
    flown = array.copy()
    flown[:, 0, :-1] += 2 * DT * array[:, 1, :-1]
    change = [base.system.observables(a)["energy"][1] for a in (flown, array)]
    expected = norms.sum(0) + 0.3 * np.minimum(np.abs(change[0] - change[1]), 50.0)
    assert float(_Loss(2, 0.3, False, law)(Free, batch)) == pytest.approx(expected.mean())


def test_loss_takes_shortest_images():
    base = base_step()
    array = packed(base, 3)
    label = labels(base, array)
    moved = label.copy()
    moved[:, 0, 2] += np.array([2.0, -1.0]) * label[:, 0, -1]
    module, loss = make(PairwiseForce)._build(base.system.law, DT), _Loss(1, 0, False, (1, 1))
    start = torch.as_tensor(array)
    with torch.no_grad():
        a, b = (
            float(loss(module, {"start": start, "label": torch.as_tensor(y)}))
            for y in (label, moved)
        )
    assert a == pytest.approx(b, abs=1e-12)


def test_energy_weight_changes_what_is_learned():
    plain, weighted = (
        fit(make(PairwiseForce, quick(epochs=1, energy_weight=w), equivariant=True))
        for w in (0.0, 1.0)
    )
    assert weighted.history_["loss"][0] > plain.history_["loss"][0]
    assert any((plain.weights_[k] != v).any() for k, v in weighted.weights_.items())


def test_input_noise_leaves_centre_of_mass_box_and_labels():
    array = torch.as_tensor(packed(base_step(), 4))
    batch = {"start": array, "label": array + 1}
    out = quick(input_noise=0.05)._noise()(batch, torch.Generator().manual_seed(0))
    change = out["start"] - array
    assert (out["label"] == batch["label"]).all()
    assert (change[:, :, -1] == 0).all()
    assert change.sum(dim=2).abs().max() < 1e-12
    assert change[:, :, :-1].std() == pytest.approx(0.05 * np.sqrt(4 / 5), rel=0.2)
    assert fit(make(PairwiseForce, quick(epochs=1, input_noise=0.05))).history_["loss"][0] > 0


@pytest.mark.parametrize("cls", [CombinedForce, GraphForce])
def test_interrupted_fit_continues(cls, tmp_path):
    """Bit for bit, in the second stage of a curriculum."""
    stages = {"horizons": (1, 2), "scheduler": None}
    straight = fit(make(cls, quick(**stages, epochs=(1, 2))), n_samples=16)
    path = str(tmp_path / "c")
    fit(make(cls, quick(**stages, epochs=(1, 1), checkpoint=path)), n_samples=16)
    resumed = fit(make(cls, quick(**stages, epochs=(1, 2), checkpoint=path)), n_samples=16)
    assert straight.history_["loss"] == resumed.history_["loss"]
    assert all((straight.weights_[k] == v).all() for k, v in resumed.weights_.items())


def test_same_seed_same_weights():
    a, b = (fit(make(ManyBodyForce, equivariant=True)) for _ in range(2))
    assert all((a.weights_[k] == b.weights_[k]).all() for k in a.weights_)


# --- the graph force -------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0, 8])
def test_graph_step_in_numba_is_that_in_torch(width):
    corrector, base = fitted(GraphForce, width=width), base_step(16, density=0.4)
    array = packed(base, 4)
    after = corrector.bind(base).advance(array, 1)
    twin = corrector.bind(base).advance_tensor(torch.as_tensor(array)).numpy()
    assert np.abs(after - twin).max() < 1e-12


def test_graph_rounds_converge_without_learning():
    """Two rounds hold three bodies; three are within 1e-2 of the converged step."""
    base = base_step(16, density=0.5)
    array = packed(base, 40)
    exact = labels(base, array)
    errors = [
        np.sqrt(((fit(make(GraphForce, width=0, n_rounds=n), base, 2).bind(base)
                  .advance(array, 1) - exact) ** 2).sum() / (40 * 16))
        for n in (2, 3, 4)
    ]  # fmt: skip
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 1e-2


def test_graph_learns_without_mechanics():
    corrector = make(GraphForce, quick(epochs=10, learning_rate=1e-2), pair_substeps=0, n_rounds=2)
    fit(corrector, n_samples=64)
    assert corrector.history_["loss"][-1] < 0.9 * corrector.history_["loss"][0]
    check_integrator(corrector.bind(base_step()), max_examples=2)


# --- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "equivariant"), [*KINDS, (GraphForce, True)])
def test_pickled_corrector_makes_the_same_bits(cls, equivariant, tmp_path):
    corrector, base = fitted(cls, equivariant), base_step()
    array = packed(base, 2)
    expected = corrector.bind(base).advance(array, 2)
    joblib.dump(corrector, tmp_path / "c.joblib")
    again = joblib.load(tmp_path / "c.joblib")
    assert (again.bind(base).advance(array, 2) == expected).all()
    assert b"torch" not in pickle.dumps(corrector)


@pytest.mark.parametrize("cls", [CombinedForce, GraphForce])
def test_saved_integrator_makes_the_same_bits(cls, tmp_path):
    base = base_step()
    samples = base.system.random_states(12, 0)
    integrator = CorrectedIntegrator(
        base, make(cls), reference=BlanesMoanRKN4(base.system, DT / 10), projection="energy",
        device="cpu", random_state=0,
    ).fit(samples)  # fmt: skip
    save(integrator, tmp_path / "force.safetensors")
    again = load(tmp_path / "force.safetensors")
    assert (again.step(samples, 2) == integrator.step(samples, 2)).all()
    energy = base.system.energy(samples)
    assert base.system.energy(again.step(samples, 2)) == pytest.approx(energy, abs=1e-10)


# --- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [*PAPER, GraphForce])
@pytest.mark.parametrize(
    "parameter",
    [{"width": -1}, {"width": 2.5}, {"depth": 0}, {"depth": True}, {"precision": "half"}],
)
def test_bad_parameters_are_named(cls, parameter):
    with pytest.raises(ValueError, match=f"{next(iter(parameter))}="):
        fit(make(cls, **parameter), n_samples=4)


@pytest.mark.parametrize(
    ("cls", "parameter"),
    [
        (PairwiseForce, {"equivariant": "yes"}), (ManyBodyForce, {"grid_radius": 0.0}),
        (ManyBodyForce, {"clip": -1.0}), (CombinedForce, {"reach": np.inf}),
        (CombinedForce, {"clip": "large"}), (GraphForce, {"n_rounds": 0}),
        (GraphForce, {"reach": 0.0}),
    ],
)  # fmt: skip
def test_bad_parameters_of_one_kind_are_named(cls, parameter):
    with pytest.raises(ValueError, match=f"{next(iter(parameter))}="):
        fit(make(cls, **parameter), n_samples=4)


@pytest.mark.parametrize(
    "option",
    [{"horizons": (2, 1)}, {"horizons": 0}, {"epochs": (1, 2)}, {"energy_weight": -1.0},
     {"input_noise": np.inf}, {"learning_rate": 0.0}],
)  # fmt: skip
def test_bad_training_is_named(option):
    base = base_step()
    array = packed(base, 4)
    with pytest.raises(ValueError, match=f"{next(iter(option))}="):
        make(PairwiseForce, quick(**option)).fit(base, array, array)


@pytest.mark.parametrize("cls", [*PAPER, GraphForce])
def test_unfitted_says_so(cls):
    base = base_step()
    with pytest.raises(NotFittedError):
        cls().bind(base).advance(packed(base, 2), 1)
    assert not hasattr(clone(fitted(cls)), "weights_")


@pytest.mark.parametrize("cls", [*PAPER, GraphForce])
def test_spins_are_refused(cls):
    base = SuzukiTrotter2(HeisenbergLattice(4), DT)
    spins = base.system.random_states(2, 0)
    with pytest.raises(TypeError, match="HeisenbergLattice"):
        make(cls).fit(base, spins, spins)


def test_a_checkpoint_of_another_reach_is_refused(tmp_path):
    training = quick(epochs=1, checkpoint=str(tmp_path / "c"))
    fit(make(ManyBodyForce, training, equivariant=True))
    with pytest.raises(ValueError, match=r"belongs to another run .corrector"):
        fit(make(ManyBodyForce, training, equivariant=True, reach=2.0))


def test_a_stage_continues_only_the_stage_that_it_began_with(tmp_path):
    """The first stage begun anew, the second one does not go on from the old one."""
    training = quick(horizons=(1, 2), epochs=1, checkpoint=str(tmp_path / "c"))
    base = base_step()
    array = packed(base, 8, 0)
    after = labels(base, array, 2)

    def train(seed):
        corrector = make(PairwiseForce, training)
        return corrector.fit(base, array, after, random_state=seed).weights_

    first = train(0)
    again = train(0)
    assert all((first[name] == again[name]).all() for name in first)
    (tmp_path / "c.0").unlink()
    with pytest.raises(ValueError, match=r"belongs to another run .before"):
        train(1)


def test_another_time_step_is_refused():
    base = VelocityVerlet(base_step().system, 0.2)
    with pytest.raises(ValueError, match=r"fitted for dt=0\.1"):
        fitted(PairwiseForce).bind(base).advance(packed(base, 2), 1)


def test_more_particles_than_the_memory_takes_are_refused():
    small = LennardJones2D(4, 0.3)
    corrector = PairwiseForce(width=2, depth=1, training=RollOut(epochs=1))
    packed = small.validate(small.random_states(4, 0))
    corrector.fit(VelocityVerlet(small, 0.01), packed, packed, random_state=0)
    large = LennardJones2D(2500, 0.3, cutoff=2.5)
    with pytest.raises(ValueError, match=r"2500 particles: PairwiseForce computes all pairs"):
        corrector.bind(VelocityVerlet(large, 0.01)).step(large.random_states(1, 0))
