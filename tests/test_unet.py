"""The U-Net corrector: the paper's normalisation and shapes, and what a network must not break."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dlintegrate import BlanesMoan4, CorrectedIntegrator, HeisenbergLattice, SuzukiTrotter2
from dlintegrate.correctors.unet import (
    UNetResidue,
    move_sites,
    random_rotations,
    random_site_maps,
    rotate_spins,
)


def random_spins(n, sides, seed=0):
    spins = np.random.default_rng(seed).normal(size=(n, *sides, 3))
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


def base_step(sides=(4, 4, 4), **system):
    return SuzukiTrotter2(HeisenbergLattice(sides, **system), 0.1)


def reference(base, spins):
    return BlanesMoan4(base.system.matching(spins), base.dt / 5).advance(spins, 5)


def small(**parameters):
    return UNetResidue(**{"width": 4, "depth": 1, "epochs": 1, "batch_size": 8, **parameters})


def fitted(sides=(4, 4, 4), n=8, seed=0, **parameters):
    """A network after one epoch, its head then made large enough to matter."""
    base, spins = base_step(sides), random_spins(n, sides, seed)
    corrector = small(**parameters).fit(base, spins, reference(base, spins), random_state=1)
    head = corrector.weights_["head.weight"]
    head += np.random.default_rng(2).normal(size=head.shape).astype(np.float32)
    return corrector, base


def residue_of(corrector, base, spins):
    return corrector.residue(base.system.matching(spins), spins, base.advance(spins, 1))


@pytest.mark.parametrize("bottleneck", ["conv", "dense"])
@pytest.mark.parametrize(
    ("sides", "depth"), [((4, 4, 4), 1), ((4, 4, 4), 2), ((8, 8, 8), 2), ((4, 8, 6), 1)]
)
def test_residue_has_the_shape_of_the_lattice(sides, depth, bottleneck):
    corrector, base = fitted(sides, depth=depth, bottleneck=bottleneck)
    out = residue_of(corrector, base, random_spins(3, sides, 5))
    assert out.shape == (3, *sides, 3)
    assert out.dtype == np.float64
    assert np.isfinite(out).all()
    assert np.abs(out).max() > 0


@pytest.mark.parametrize("side", [4, 8])
def test_normalisation_is_the_papers(side):
    """λ = 11σ for L = 4 and 13σ for L = 8, σ of the largest component (section 4.1.4)."""
    corrector, base = fitted((side,) * 3, depth=2)
    spins = random_spins(8, (side,) * 3)
    residue = reference(base, spins) - base.advance(spins, 1)
    sigma = residue.reshape(-1, 3).std(axis=0).max()
    assert corrector.scale_ == pytest.approx({4: 11, 8: 13}[side] * sigma, rel=1e-12)
    assert fitted((side,) * 3, sigma_range=5.0)[0].scale_ == pytest.approx(5 * sigma, rel=1e-12)


def test_target_lies_in_the_unit_interval_and_inverts():
    """Eq. 4.6 and its inverse, section 4.1.5."""
    corrector, base = fitted()
    spins = random_spins(8, (4, 4, 4))
    residue = reference(base, spins) - base.advance(spins, 1)
    normalised = 0.5 + residue / (2 * corrector.scale_)
    assert 0 < normalised.min() < normalised.max() < 1
    assert np.allclose(normalised * 2 * corrector.scale_ - corrector.scale_, residue, atol=1e-15)


def test_sigmoid_bounds_the_residue_and_linear_does_not():
    for output, bounded in (("sigmoid", True), ("linear", False)):
        corrector, base = fitted(output=output)
        corrector.weights_ = {
            k: (1e3 * v if k == "head.weight" else v) for k, v in corrector.weights_.items()
        }
        largest = np.abs(residue_of(corrector, base, random_spins(2, (4, 4, 4), 5))).max()
        assert (largest <= corrector.scale_ * (1 + 1e-6)) == bounded


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_untrained_network_corrects_nothing(output):
    corrector, base = fitted(output=output)
    corrector.weights_ = {k: v * (not k.startswith("head")) for k, v in corrector.weights_.items()}
    assert np.abs(residue_of(corrector, base, random_spins(2, (4, 4, 4)))).max() < 1e-9


def test_loss_is_the_papers():
    """Eqs 4.7 and 4.8: squared distance per site, components summed, mean over sites."""
    corrector = small(sigma_range=5.0)
    corrector.lattice_shape_ = (4, 4, 4)
    target = torch.rand(2, 4, 4, 4, 3)
    batch = {"before": target, "after": target, "target": target}

    def at_half(x):
        return torch.zeros(*x.shape[:-1], 3)

    expected = ((0.5 - target) ** 2).sum() / (2 * 64)
    assert torch.allclose(corrector._loss(at_half, batch), expected)


@settings(deadline=None, max_examples=8)
@given(st.tuples(*[st.integers(-2, 2)] * 3), st.integers(0, 10))
def test_convolutions_are_periodic(translation, seed):
    """With convolutions only, translations by the pooling stride commute with the network."""
    corrector, base = _periodic()
    spins = random_spins(2, (8, 8, 4), seed)
    shift = tuple(2 * t for t in translation)
    moved = np.roll(spins, shift, (1, 2, 3))
    expected = np.roll(residue_of(corrector, base, spins), shift, (1, 2, 3))
    assert np.allclose(residue_of(corrector, base, moved), expected, atol=1e-5 * corrector.scale_)


_cache = {}


def _periodic():
    if not _cache:
        _cache["it"] = fitted((8, 8, 4), sublattice_channel=True)
    return _cache["it"]


def test_translation_by_one_site_does_not_commute():
    """Pooling blocks and sublattices tell the sites apart: nothing is declared, rightly."""
    corrector, base = _periodic()
    spins = random_spins(2, (8, 8, 4))
    moved = residue_of(corrector, base, np.roll(spins, 1, 1))
    expected = np.roll(residue_of(corrector, base, spins), 1, 1)
    assert np.abs(moved - expected).max() > 1e-3 * corrector.scale_
    assert corrector.guarantees(base) == {"norm"}


def test_periodic_convolution_is_torchs_with_its_gradients():
    from dlintegrate.correctors._unet_module import PeriodicConv3d

    ours = PeriodicConv3d(2, 3).double()
    theirs = torch.nn.Conv3d(2, 3, 3, padding=1, padding_mode="circular").double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 2, 4, 2, 6, dtype=torch.float64, requires_grad=True)
    out = torch.randn(2, 3, 4, 2, 6, dtype=torch.float64)
    assert torch.allclose(ours(x), theirs(x), atol=1e-13)
    for a, b in zip(
        torch.autograd.grad(ours(x), [x, *ours.parameters()], out),
        torch.autograd.grad(theirs(x), [x, *theirs.parameters()], out),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-12)


def test_conv_transfers_and_dense_refuses_another_size():
    conv, base = fitted()
    assert conv.local
    assert residue_of(conv, base, random_spins(2, (8, 6, 4))).shape == (2, 8, 6, 4, 3)
    dense, base = fitted(bottleneck="dense")
    assert not dense.local
    with pytest.raises(ValueError, match=r"\(8, 8, 8\).*dense.*\(4, 4, 4\).*'conv'"):
        residue_of(dense, base, random_spins(2, (8, 8, 8)))


def test_dense_can_be_fitted_again_on_another_size():
    corrector, _ = fitted(bottleneck="dense")
    base, spins = base_step((6, 6, 6)), random_spins(4, (6, 6, 6))
    corrector.fit(base, spins, reference(base, spins), random_state=0)
    assert residue_of(corrector, base, spins).shape == spins.shape


def test_a_checkpoint_of_another_activation_is_refused(tmp_path):
    path = str(tmp_path / "c.pt")
    fitted(checkpoint=path)
    with pytest.raises(ValueError, match=r"belongs to another run .corrector"):
        fitted(checkpoint=path, activation="relu")


def test_the_activation_of_the_moment_decides_whatever_was_predicted_before():
    corrector, base = fitted()
    spins = random_spins(2, (4, 4, 4))
    before = residue_of(corrector, base, spins)
    other = residue_of(corrector.set_params(activation="relu"), base, spins)
    assert not np.allclose(other, before)
    again = residue_of(corrector.set_params(activation="silu"), base, spins)
    np.testing.assert_array_equal(again, before)


# --- symmetries of the training data ------------------------------------------------------


def test_rotations_are_proper_and_cover_the_sphere():
    turns = random_rotations(4000, torch.Generator().manual_seed(0)).double()
    identity = torch.eye(3, dtype=torch.float64)
    assert torch.allclose(turns @ turns.mT, identity.expand(4000, 3, 3), atol=1e-5)
    assert torch.allclose(torch.det(turns), torch.ones(4000, dtype=torch.float64), atol=1e-5)
    assert turns.mean(dim=0).abs().max() < 5 / np.sqrt(3 * 4000)
    assert (turns.square().mean(dim=0) - 1 / 3).abs().max() < 0.03


@pytest.mark.parametrize("sides", [(4, 4, 4), (4, 6, 4), (2, 4, 6)])
def test_site_maps_are_symmetries_that_keep_the_sublattices(sides):
    maps = random_site_maps(64, sides, torch.Generator().manual_seed(0)).numpy()
    sites = np.stack(np.meshgrid(*map(np.arange, sides), indexing="ij"), -1).reshape(-1, 3)
    assert (np.sort(maps, axis=1) == np.arange(len(sites))).all()  # permutations
    parity = sites.sum(axis=1) % 2
    assert (parity[maps] == parity).all()

    def neighbours(a, b):
        d = np.abs(sites[a] - sites[b])
        return np.minimum(d, np.array(sides) - d).sum(axis=-1) == 1

    a, b = np.where(neighbours(np.arange(len(sites))[:, None], np.arange(len(sites))))
    assert neighbours(maps[:, a], maps[:, b]).all()
    assert len(np.unique(maps, axis=0)) > 32


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from([(4, 4, 4), (4, 6, 4)]), st.booleans())
def test_label_of_a_transformed_sample_is_the_transformed_label(seed, sides, rotate):
    base, spins = base_step(sides, J=-0.7), random_spins(3, sides, seed)
    after = base.advance(spins, 1)
    arrays = {"before": spins, "after": after, "target": reference(base, spins) - after + 0.5}
    batch = {k: torch.as_tensor(v) for k, v in arrays.items()}
    generator = torch.Generator().manual_seed(seed)
    if rotate:
        batch = rotate_spins(batch, generator, ("before", "after"), ("target",))
    else:
        batch = move_sites(batch, generator)
    before = batch["before"].numpy()
    # rotation matrices are drawn in float32
    before = before / np.linalg.norm(before, axis=-1, keepdims=True)
    assert np.abs(before - spins).max() > 0.1
    after = base.advance(before, 1)
    assert np.allclose(batch["after"].numpy(), after, atol=2e-6)
    assert np.allclose(batch["target"].numpy() - 0.5, reference(base, before) - after, atol=1e-6)


def test_augmentation_uses_only_what_the_base_declares():
    def used(augmentation, declared):
        augment = small(augmentation=augmentation)._augmentation(
            SimpleNamespace(guarantees=frozenset(declared))
        )
        if augment is None:
            return set()
        spins = torch.as_tensor(random_spins(4, (4, 4, 4)))
        batch = {"before": spins, "after": spins, "target": spins}
        out = augment(batch, torch.Generator().manual_seed(0))["before"].reshape(4, 64, 3)
        gram = torch.einsum("nsc,nsc->ns", out, spins.reshape(4, 64, 3))
        dots = out @ out.mT, spins.reshape(4, 64, 3) @ spins.reshape(4, 64, 3).mT
        moved = not torch.allclose(*dots, atol=1e-5)
        turned = not torch.allclose(out.sort(dim=1)[0], spins.reshape(4, 64, 3).sort(dim=1)[0])
        assert (moved or turned) == (not torch.allclose(gram, torch.ones_like(gram)))
        return ({"lattice"} if moved else set()) | ({"rotations"} if turned else set())

    both = {"norm", "rotation_equivariant", "even_translation_equivariant"}
    assert used("symmetries", both) == {"rotations", "lattice"}
    assert used("rotations", both) == {"rotations"}
    assert used("lattice", both) == {"lattice"}
    assert used(None, both) == set()
    assert used("symmetries", {"norm", "translation_equivariant"}) == {"lattice"}
    assert used("symmetries", {"norm"}) == set()


# --- learning ------------------------------------------------------------------------------


@pytest.mark.parametrize("bottleneck", ["conv", "dense"])
def test_fit_lowers_the_one_step_error_below_the_base(bottleneck):
    base, spins = base_step(), _cold_spins(128, 1)
    corrector = UNetResidue(
        width=8, depth=1, bottleneck=bottleneck, epochs=40, batch_size=16, learning_rate=3e-3,
        augmentation=None, sublattice_channel=True,
    ).fit(base, spins, reference(base, spins), random_state=0)  # fmt: skip
    unseen = _cold_spins(16, 2)
    exact = reference(base, unseen)
    before = np.sqrt(np.mean((base.advance(unseen, 1) - exact) ** 2))
    corrected = np.sqrt(np.mean((corrector.bind(base).advance(unseen, 1) - exact) ** 2))
    assert corrected < 0.6 * before
    assert len(corrector.history_["loss"]) == 40


def _cold_spins(n, seed):
    """Spins within some 25 degrees of the z axis."""
    spins = 0.3 * np.random.default_rng(seed).normal(size=(n, 4, 4, 4, 3))
    spins[..., 2] += 1.0
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


def test_bound_step_keeps_the_norm_and_the_input():
    corrector, base = fitted()
    spins = random_spins(3, (4, 4, 4), 7)
    copy = spins.copy()
    out = corrector.bind(base).advance(spins, 3)
    assert np.abs(np.linalg.norm(out, axis=-1) - 1).max() < 1e-14
    assert (spins == copy).all()


def test_samples_do_not_see_each_other():
    """Also across the passes that bound the memory of a prediction."""
    corrector, base = fitted()
    spins = random_spins(5, (4, 4, 4), 7)
    together = residue_of(corrector, base, spins)
    alone = np.concatenate([residue_of(corrector, base, s[None]) for s in spins])
    assert np.allclose(together, alone, rtol=0, atol=1e-6 * corrector.scale_)
    from dlintegrate.correctors import unet

    passes, unet._SITES_PER_PASS = unet._SITES_PER_PASS, 128
    try:
        split = residue_of(corrector, base, spins)
    finally:
        unet._SITES_PER_PASS = passes
    assert np.allclose(split, together, rtol=0, atol=1e-6 * corrector.scale_)


def test_same_seed_same_weights():
    a, _ = fitted(augmentation="symmetries")
    b, _ = fitted(augmentation="symmetries")
    assert all((a.weights_[k] == b.weights_[k]).all() for k in a.weights_)


def test_interrupted_fit_continues(tmp_path):
    base, spins = base_step(), random_spins(16, (4, 4, 4))
    labels = reference(base, spins)
    options = {"epochs": 4, "scheduler": None}
    straight = small(**options).fit(base, spins, labels, random_state=1)
    path = str(tmp_path / "c.pt")
    small(**options | {"epochs": 2}, checkpoint=path).fit(base, spins, labels, random_state=1)
    resumed = small(**options, checkpoint=path).fit(base, spins, labels, random_state=1)
    assert straight.history_["loss"] == resumed.history_["loss"]
    assert all((straight.weights_[k] == v).all() for k, v in resumed.weights_.items())


def test_tensor_twin_agrees_and_differentiates():
    corrector, base = fitted()
    spins = random_spins(2, (4, 4, 4), 3)
    step = corrector.bind(base)
    tensor = torch.tensor(spins, requires_grad=True)
    out = step.advance_tensor(tensor, 2)
    assert np.allclose(out.detach().numpy(), step.advance(spins, 2), atol=1e-6)
    out.square().mean().backward()
    assert torch.isfinite(tensor.grad).all()
    assert tensor.grad.abs().max() > 0


# --- files ---------------------------------------------------------------------------------


def test_pickle_holds_no_torch_object_and_is_bit_exact():
    corrector, base = fitted()
    spins = random_spins(2, (4, 4, 4), 3)
    expected = residue_of(corrector, base, spins)  # builds the module
    data = pickle.dumps(corrector)
    assert b"torch" not in data
    assert (residue_of(pickle.loads(data), base, spins) == expected).all()
    assert all(isinstance(w, np.ndarray) for w in corrector.weights_.values())


def test_fitted_device_that_is_absent_falls_back_to_the_cpu():
    corrector, base = fitted()
    spins = random_spins(2, (4, 4, 4), 3)
    expected = residue_of(corrector, base, spins)
    corrector.device_ = "cuda:77"
    assert (residue_of(corrector, base, spins) == expected).all()


def test_saved_file_is_bit_exact(tmp_path):
    from dlintegrate.persistence import load, save

    base, spins = base_step(), random_spins(8, (4, 4, 4))
    integrator = CorrectedIntegrator(base, small(), reference=BlanesMoan4(base.system, 0.02))
    integrator.set_params(random_state=0, device="cpu").fit(spins)
    save(integrator, tmp_path / "unet.safetensors")
    again = load(tmp_path / "unet.safetensors")
    assert (again.step(spins) == integrator.step(spins)).all()


# --- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameter",
    [
        {"width": 0}, {"width": 2.5}, {"depth": 0}, {"bottleneck": "fc"}, {"output": "tanh"},
        {"activation": "step"}, {"augmentation": "flips"}, {"sigma_range": -1.0},
        {"sigma_range": "large"}, {"epochs": 0}, {"learning_rate": -1.0},
    ],
)  # fmt: skip
def test_bad_parameters_are_named(parameter):
    base, spins = base_step(), random_spins(4, (4, 4, 4))
    corrector = UNetResidue(**{"width": 4, "depth": 1, **parameter})
    with pytest.raises(ValueError, match=f"{next(iter(parameter))}="):
        corrector.fit(base, spins, spins)


@pytest.mark.parametrize(
    ("sides", "message"),
    [((6, 6, 6), "divisible by 4"), ((8, 8), "three dimensions"), ((8,), "three dimensions")],
)
def test_unsuitable_lattices_are_refused(sides, message):
    base, spins = base_step(sides), random_spins(4, sides)
    with pytest.raises(ValueError, match=message):
        UNetResidue(width=4).fit(base, spins, reference(base, spins))


def test_no_residue_is_an_error():
    base, spins = base_step(), random_spins(4, (4, 4, 4))
    with pytest.raises(ValueError, match="no residue"):
        small().fit(base, spins, base.advance(spins, 1))


def test_unfitted_says_so():
    base, spins = base_step(), random_spins(2, (4, 4, 4))
    with pytest.raises(NotFittedError):
        residue_of(small(), base, spins)


def test_clone_is_unfitted_and_equal_in_parameters():
    corrector, _ = fitted()
    copy = clone(corrector)
    assert copy.get_params() == corrector.get_params()
    assert not hasattr(copy, "weights_")


def test_version_of_the_pickle_is_checked():
    corrector, _ = fitted()
    state = corrector.__getstate__()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        UNetResidue().__setstate__(state)
    with pytest.warns(UserWarning, match="written by dlintegrate 0.0.1"):
        UNetResidue().__setstate__({**state, "_dlintegrate_version": "0.0.1"})
