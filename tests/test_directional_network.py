"""The directional network: kernels and torch say the same, of fields and of gradients."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantTorque,
    FieldTraining,
    SemiImplicitB,
    TriangularSDModel,
    load,
    save,
)
from dlintegrate.correctors._directional_network import DirectionalNetwork, directed_orbits

pytestmark = pytest.mark.filterwarnings("ignore:.*period of 12 sites")
SIZES = {"n_vectors": 2, "n_scalars": 3, "n_hidden": 4, "depth": 2, "reach": 1, "first_reach": 2}


def network(dtype=torch.float64, **sizes):
    torch.manual_seed(0)
    return DirectionalNetwork(**SIZES | sizes).to(dtype)


def random_spins(n=3, sides=(6, 7), seed=1, dtype=torch.float64):
    spins = torch.randn(n, 3, *sides, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return spins / spins.norm(dim=1, keepdim=True)


def gradients(module, fields, weights):
    module.zero_grad()
    (fields * weights).sum().backward()
    return [parameter.grad.clone() for parameter in module.parameters()]


@pytest.fixture
def threads():
    """Give back the number of threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@settings(max_examples=15, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)), reach=st.integers(1, 3),
    first_reach=st.integers(1, 4), depth=st.integers(0, 2), n_vectors=st.integers(1, 3),
)  # fmt: skip
def test_kernels_agree_with_torch(sides, **sizes):
    module, spins = network(**sizes), random_spins(2, sides)
    fields, expected = module(spins), module.by_torch(spins)
    torch.testing.assert_close(fields, expected, rtol=0, atol=1e-12)
    weights = torch.randn_like(fields)
    found, known = (gradients(module, f, weights) for f in (fields, expected))
    for (name, _), a, b in zip(module.named_parameters(), found, known, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12, msg=name)


def test_single_precision_is_as_good_as_torch_in_single_precision():
    module, spins = network(torch.float32, n_vectors=8), random_spins(dtype=torch.float32)
    with torch.no_grad():
        fields, exact = module(spins), module.double()(spins.double())
    torch.testing.assert_close(fields.double(), exact, rtol=0, atol=1e-6 * float(exact.abs().max()))


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_a_sample_does_not_know_of_others_nor_of_threads(threads, n_threads):
    module, spins = network(torch.float32), random_spins(4, dtype=torch.float32)
    threads(1)
    with torch.no_grad():
        alone = torch.cat([module(sample) for sample in spins.split(1)])
        threads(n_threads)
        together = module(spins)
    assert torch.equal(together, alone)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_gradients_do_not_depend_on_what_was_kept(threads, n_threads):
    threads(n_threads)
    module, spins = network(), random_spins(5)
    weights = torch.randn_like(spins)
    known = gradients(module, module.by_torch(spins), weights)
    fields = module(spins)
    others = module(random_spins(5, seed=2))  # between a field and its gradient
    for _ in range(2):
        module.zero_grad()
        (fields * weights).sum().backward(retain_graph=True)
        for parameter, expected in zip(module.parameters(), known, strict=True):
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-10, atol=1e-12)
    assert others.isfinite().all()


def test_many_may_ask_at_once():
    module, spins = network(torch.float32), random_spins(24, dtype=torch.float32)

    def field(sample):
        with torch.no_grad():
            return module(sample)

    expected = torch.cat([field(sample) for sample in spins.split(1)])
    with ThreadPoolExecutor(4) as pool:
        found = torch.cat(list(pool.map(field, spins.split(1))))
    assert torch.equal(found, expected)


def test_predictions_follow_the_weights():
    module, spins = network(), random_spins(1)
    with torch.no_grad():
        before = module(spins)
        module.offset += 0.5
        changed = module(spins)
        module.load_state_dict(network().state_dict())
        again = module(spins)
    assert not torch.allclose(changed, before)
    assert torch.equal(again, before)
    assert torch.equal(module.float()(spins.float()), network(torch.float32)(spins.float()))


def test_is_differentiable_with_respect_to_the_spins():
    module = network().requires_grad_(False)
    spins = random_spins(1, (4, 4)).requires_grad_(True)
    assert torch.autograd.gradcheck(module, (spins,), eps=1e-6, atol=1e-7)


def test_orbits_are_those_of_the_mirror_through_the_bond():
    displacements, orbits = directed_orbits(3)
    np.testing.assert_array_equal(displacements[::-1], -displacements)
    x, y = displacements[:, 0] + 0.5 * displacements[:, 1], np.sqrt(0.75) * displacements[:, 1]
    sets = []
    for k, numbers in enumerate(orbits):
        ahead = np.cos(k * np.pi / 3) * x + np.sin(k * np.pi / 3) * y
        aside = np.abs(np.cos(k * np.pi / 3) * y - np.sin(k * np.pi / 3) * x)
        seen = np.round(np.stack([ahead, aside], 1), 6) + 0.0
        sets.append([{tuple(p) for p in seen[numbers == n]} for n in range(numbers.max() + 1)])
    assert all(places == sets[0] for places in sets)
    assert all(len(place) == 1 for place in sets[0])
    assert len(set.union(*sets[0])) == len(sets[0])


def test_learns_and_is_saved(tmp_path):
    model = TriangularSDModel((6, 6), field=(0, 0, 0.1))
    spins = model.random_states(8, 0)
    near = sum(np.roll(spins, s, a) for s, a in ((1, 1), (-1, 1), (1, 2), (-1, 2)))
    near += np.roll(spins, (1, -1), (1, 2)) + np.roll(spins, (-1, 1), (1, 2))
    training = FieldTraining(epochs=60, batch_size=4, learning_rate=0.02)
    corrector = EquivariantTorque(
        3, 3, depth=1, first_reach=1, n_hidden=4, directional=True, training=training
    )
    learned = CorrectedIntegrator(SemiImplicitB(model, 0.1), corrector, random_state=0)
    learned.fit(spins, near + model.bias)
    assert learned.history_["loss"][-1] < 0.02 * learned.history_["loss"][0]
    save(learned, tmp_path / "field.safetensors")
    again = load(tmp_path / "field.safetensors")
    np.testing.assert_array_equal(again.step(spins), learned.step(spins))


def test_is_not_made_from_an_energy():
    model = TriangularSDModel((6, 6))
    corrector = EquivariantTorque(energy=True, directional=True)
    with pytest.raises(ValueError, match="directional=True"):
        CorrectedIntegrator(SemiImplicitB(model, 0.1), corrector).fit(model.random_states(1, 0))
