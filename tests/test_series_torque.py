"""Fields from short series: exact moments, symmetric, local, and what is fitted to them."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantTorque,
    FieldTraining,
    HeisenbergLattice,
    KernelPolynomial,
    SemiImplicitB,
    SeriesTorque,
    TriangularSDModel,
    load,
    save,
    skyrmion_lattice,
)
from dlintegrate._kernels.cluster_moments import cluster, lattice_moments
from dlintegrate._kernels.cluster_moments_torch import lattice_moments as by_torch
from dlintegrate.correctors.series_torque import _scales
from dlintegrate.metrics import equivariance_error, torque_error

pytestmark = pytest.mark.filterwarnings("ignore:.*period of 12 sites")
SMALL = SeriesTorque(n_moments=8, reach=4)
#: Hot electrons, whose field a few moments of near sites give.
HOT = TriangularSDModel((12, 12), temperature=1.0, field=(0, 0, 0.01),
                        solver=KernelPolynomial(200, n_twists=2))  # fmt: skip


def spins_of(model, n=2, seed=0):
    return model.random_states(n, seed)


def fitted(corrector, model=HOT, spins=None):
    spins = spins_of(model) if spins is None else spins
    return CorrectedIntegrator(SemiImplicitB(model, 0.2), corrector, random_state=0).fit(spins)


@pytest.fixture(scope="module")
def hot():
    return fitted(SMALL)


def dense_moments(model, spins, n_moments):
    """Spin moments from powers of the whole matrix, shape (X, Y, 3, n_moments)."""
    centre, half_width = model.spectrum
    matrix = model.hamiltonian(spins)
    matrix = (matrix - centre * np.eye(len(matrix))) / half_width
    polynomials = [np.eye(len(matrix)), matrix]
    for _ in range(n_moments - 2):
        polynomials.append(2 * matrix @ polynomials[-1] - polynomials[-2])
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    sites = np.arange(model.n_sites)
    moments = []
    for polynomial in polynomials:
        blocks = polynomial.reshape(model.n_sites, 2, model.n_sites, 2)[sites, :, sites]
        moments.append(np.einsum("iab,mba->im", blocks, pauli).real)
    return np.stack(moments, -1).reshape(*spins.shape, n_moments)


@pytest.mark.parametrize("sides", [(12, 12), (12, 17)])
def test_moments_are_those_of_the_whole_matrix_while_no_path_leaves_the_cluster(sides):
    # closed paths of 5 hops come 4 bonds far, and do not go around 12 sites
    model = TriangularSDModel(sides)
    spins = spins_of(model, 1)[0]
    moments = np.moveaxis(lattice_moments(spins, _scales(model), 6, 4), (1, 2), (3, 2))
    np.testing.assert_allclose(moments[:, :, 1:], dense_moments(model, spins, 6), atol=1e-6)


def test_the_first_moments_have_nothing_across_the_spin():
    model = TriangularSDModel((12, 12))
    spins = spins_of(model, 1)[0]
    moments = np.moveaxis(lattice_moments(spins, _scales(model), 4, 4), (1, 2), (3, 2))[:, :, 1:]
    across = moments - np.einsum("xyck,xyc,xyd->xydk", moments, spins, spins)
    assert np.abs(across[..., :3]).max() < 1e-6 < 1e-3 < np.abs(across[..., 3]).max()


@pytest.mark.parametrize("reach", [3, 5, 7, 13])
def test_kernel_and_torch_agree_also_where_clusters_are_cut(reach):
    model = TriangularSDModel((12, 12))
    spins = spins_of(model, 1)
    kernel = np.moveaxis(lattice_moments(spins[0], _scales(model), 12, reach), (1, 2), (3, 2))
    twin = by_torch(torch.as_tensor(spins), _scales(model), 12, reach)[0].numpy()
    np.testing.assert_allclose(kernel[:, :, 1:], twin, atol=1e-5)  # single precision


def test_clusters_are_hexagonal_and_sorted_by_hops():
    places, counts, near, _ = cluster(4, 5)
    assert len(places) == 61 and tuple(places[0]) == (0, 0)
    assert counts.tolist() == [1, 13, 49, 61, 61, 61]
    assert (near[0] < 13).all() and (near == 61).any()  # the rim has neighbours outside


def test_the_field_of_hot_electrons_needs_few_moments_of_near_sites(hot):
    """They forget a spin within few bonds, and their filling is a smooth function of energy."""
    unseen = spins_of(HOT, 1, seed=5)
    assert -hot.score(unseen) < 0.05
    rough = fitted(SeriesTorque(n_moments=4, reach=2))
    assert -rough.score(unseen) > 2 * -hot.score(unseen)


def test_the_series_turns_with_spins_and_lattice(hot):
    spins = spins_of(HOT, 1, seed=3)
    error = equivariance_error(hot.simulated, spins, relative=True, random_state=0)
    assert error < 1e-5
    np.testing.assert_allclose(
        hot.corrector_.field(-spins), -hot.corrector_.field(spins), atol=1e-5
    )


def test_what_was_fitted_on_one_size_serves_another(hot):
    large = HOT.resized((24, 12, 3))
    spins = spins_of(large, 1, seed=4)
    fields = hot.simulated.resized(spins.shape[1:]).field_of(spins)
    assert torque_error(fields, large.field_of(spins), spins) < 0.05
    repeated = np.tile(spins_of(HOT, 1, seed=4), (1, 2, 1, 1))
    np.testing.assert_allclose(
        hot.corrector_.field(repeated)[:, :12], hot.corrector_.field(repeated[:, :12]), atol=1e-6
    )


def test_the_torch_twin_is_the_field_and_knows_its_slope(hot):
    spins = torch.as_tensor(spins_of(HOT, 1, seed=6)).requires_grad_(True)
    field = hot.corrector_.field_tensor(spins)
    np.testing.assert_allclose(
        field.detach().numpy(), hot.corrector_.field(spins.detach().numpy()), atol=1e-5
    )
    slope = torch.autograd.grad(field[0, 3, 4, 0], spins)[0]
    h, moved = 1e-6, spins.detach().clone()
    moved[0, 4, 4, 2] += h
    change = (hot.corrector_.field_tensor(moved) - field.detach())[0, 3, 4, 0]
    assert float(change) / h == pytest.approx(float(slope[0, 4, 4, 2]), rel=1e-3)


def test_a_network_learns_what_the_series_misses(hot):
    """Here an exchange over five bonds, which no cluster of four holds."""
    spins = spins_of(HOT, 10, seed=8)
    fields = hot.simulated.field_of(spins)
    for a, b in [(5, 0), (0, 5), (-5, 5), (-5, 0), (0, -5), (5, -5)]:
        fields = fields + 0.01 * np.roll(spins, (a, b), (1, 2))
    training = FieldTraining(epochs=150, batch_size=2, learning_rate=0.03)
    network = EquivariantTorque(n_vectors=2, depth=0, first_reach=5, training=training)
    errors = {}
    for name, corrector in (("alone", SMALL), ("both", SeriesTorque(8, 4, network))):
        learned = CorrectedIntegrator(SemiImplicitB(HOT, 0.2), corrector, random_state=0)
        learned.fit(spins[:8], fields[:8])
        errors[name] = -learned.score(spins[8:], fields[8:])
    assert errors["alone"] > 0.1
    assert errors["both"] < 0.02
    assert learned.history_["loss"][-1] < 0.01 * learned.history_["loss"][0]


def test_the_ferromagnet_feels_no_torque_and_a_saved_field_is_the_same(hot, tmp_path):
    aligned = np.zeros((1, 12, 12, 3))
    aligned[..., 2] = 1.0
    assert np.abs(hot.corrector_.field(aligned)).max() < 1e-7
    spins = spins_of(HOT, 1, seed=7)
    for name in ("field.safetensors", "field.joblib"):
        save(hot, tmp_path / name)
        np.testing.assert_array_equal(load(tmp_path / name).step(spins), hot.step(spins))


def test_damped_spins_relax_in_it(hot):
    start = skyrmion_lattice((12, 12), perturbation=0.2, random_state=0)
    run = hot.set_params(base__damping=0.2).simulate(start, t_max=20.0, save_every=25)
    energies = HOT.energy(run.spin.values[0])
    assert energies[-1] < energies[0]
    np.testing.assert_allclose(np.linalg.norm(run.spin.values, axis=-1), 1.0, atol=1e-12)


def test_steps_in_a_learned_field_may_change_also_after_loading(hot, tmp_path):
    save(hot, tmp_path / "field.safetensors")
    start = spins_of(HOT, 1, seed=3)
    for learned in (clone(hot).fit(spins_of(HOT), HOT.local_field(spins_of(HOT))),
                    load(tmp_path / "field.safetensors")):  # fmt: skip
        learned.set_params(base__dt=0.25, base__damping=0.4)
        run = learned.simulate(start, t_max=1.0)
        step = clone(learned.base).set_params(system=learned.simulated)
        assert run.time.values.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
        np.testing.assert_array_equal(run.spin.values[:, -1], step.step(start, 4))
        assert learned.suggest_dt(start, 1e-2) == learned.step_.suggest_dt(start, 1e-2)
        with pytest.raises(ValueError, match=r"differs from base\.system"):
            learned.set_params(base__system__J=2.0)


def test_training_goes_on_from_its_network_if_it_has_one(hot):
    with pytest.raises(TypeError, match="has no network that training could go on from"):
        hot.corrector_.state_dict()
    network = EquivariantTorque(n_vectors=2, n_scalars=2, n_directed=0, depth=1)
    network.set_params(training=FieldTraining(epochs=1))
    first = fitted(SeriesTorque(n_moments=8, reach=4, network=network))
    start = first.corrector_.state_dict()
    assert start["scale_"] == first.corrector_.network_.scale_
    again = clone(network).set_params(
        training=FieldTraining(epochs=1, learning_rate=1e-12, initial_weights=start)
    )
    again = fitted(SeriesTorque(n_moments=8, reach=4, network=again), spins=spins_of(HOT, 1, 5))
    spins = spins_of(HOT)
    np.testing.assert_allclose(
        again.corrector_.network_.field(spins), first.corrector_.network_.field(spins),
        rtol=1e-5, atol=1e-8,
    )  # fmt: skip


class TestBadInput:
    @pytest.mark.parametrize(
        "parameters, message",
        [
            ({"n_moments": 7}, "n_moments=7: expected an even number"),
            ({"n_moments": 2}, "n_moments=2: expected an int of at least 4"),
            ({"reach": 1}, "reach=1: expected an int of at least 2"),
        ],
    )
    def test_parameters(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            fitted(SeriesTorque(**parameters))

    def test_a_network_must_learn_fields(self):
        with pytest.raises(TypeError, match="network=3: expected a FieldCorrector or None"):
            fitted(SeriesTorque(8, 4, network=3))

    def test_a_system_without_electrons(self):
        base = SemiImplicitB(HeisenbergLattice(4), 0.1)
        with pytest.raises(TypeError, match="triangular lattice"):
            CorrectedIntegrator(base, SMALL).fit(base.system.random_states(1, 0))

    def test_other_electrons_than_those_of_the_fit(self, hot):
        other = SemiImplicitB(TriangularSDModel((12, 12), temperature=0.05), 0.1)
        with pytest.raises(ValueError, match=r"temperature=0.05: .*temperature=1.0; fit it again"):
            hot.corrector_.bind(other).step(spins_of(HOT, 1))

    def test_unfitted(self):
        with pytest.raises(NotFittedError, match="SeriesTorque is not fitted"):
            SMALL.field(spins_of(HOT, 1))

    def test_fields_along_the_spins(self):
        spins = spins_of(HOT, 1)
        learner = CorrectedIntegrator(SemiImplicitB(HOT, 0.1), SMALL)
        with pytest.raises(ValueError, match="no torque to learn"):
            learner.fit(spins, 0.0 * spins + HOT.bias)
