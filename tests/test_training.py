"""The training loop: it learns, it can be interrupted anywhere, and it says what is wrong."""

import numpy as np
import pytest
import torch

from dlintegrate.correctors._soap import Soap
from dlintegrate.correctors.training import generator_of, train


def make_module():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1)
    )


def make_data(n=96):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(2))
    return {"x": x, "y": x[:, :1] * x[:, 1:2]}


def loss_fn(module, batch):
    return (module(batch["x"]) - batch["y"]).square().mean()


def jitter(batch, generator):
    noise = 0.01 * torch.randn(batch["x"].shape, generator=generator)
    return {**batch, "x": batch["x"] + noise}


def fit(module=None, data=None, **options):
    module = module or make_module()
    settings = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2, "random_state": 3} | options
    return module, train(module, data or make_data(), loss_fn, **settings)


def assert_same(a, b):
    """Equal modules and histories, to the last bit."""
    (module_a, history_a), (module_b, history_b) = a, b
    for key, value in module_a.state_dict().items():
        assert torch.equal(value, module_b.state_dict()[key]), key
    for key in ("loss", "validation_loss", "learning_rate"):
        assert history_a[key] == history_b[key], key


class Kill:
    """Interrupt the run at a given call of the loss."""

    def __init__(self, call):
        self.left = call

    def __call__(self, module, batch):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return loss_fn(module, batch)


def test_loss_decreases():
    _, history = fit(epochs=30, learning_rate=0.03)
    assert history["validation_loss"][-1] < 0.6 * history["validation_loss"][0]
    assert {len(v) for v in history.values()} == {30}


def test_same_seed_same_result_and_another_seed_another():
    assert_same(fit(augment=jitter), fit(augment=jitter))
    assert fit()[1]["loss"] != fit(random_state=4)[1]["loss"]


def test_global_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    module = make_module()
    torch.manual_seed(5)
    fit(module)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "special",
    [{"scheduler": "plateau"}, {"scheduler": None}, {"scheduler": None, "optimizer": "soap"}],
)
def test_two_epochs_and_two_more_are_four(tmp_path, special):
    options = {"augment": jitter, **special}
    straight = fit(**options)
    fit(epochs=2, checkpoint=tmp_path / "c.pt", **options)
    resumed = fit(torch.nn.Sequential(*make_module()), checkpoint=tmp_path / "c.pt", **options)
    assert len(resumed[1]["loss"]) == 4
    assert_same(straight, resumed)


@pytest.mark.parametrize("call", [1, 9, 20])
def test_interrupted_run_continues_bit_for_bit(tmp_path, call):
    path = tmp_path / "c.pt"
    with pytest.raises(KeyboardInterrupt):
        train(make_module(), make_data(), Kill(call), epochs=4, batch_size=16, learning_rate=1e-2,
              random_state=3, checkpoint=path, augment=jitter)  # fmt: skip
    # the seed, too, comes from the file
    assert_same(
        fit(augment=jitter), fit(augment=jitter, checkpoint=path, random_state=None)
    )  # fmt: skip


def test_plateau_halves_the_rate_also_across_a_restart(tmp_path):
    options = {"scheduler": "plateau", "learning_rate": 0.5, "epochs": 30}
    straight = fit(**options)
    assert min(straight[1]["learning_rate"]) < 0.5
    fit(**options | {"epochs": 17}, checkpoint=tmp_path / "c.pt")
    assert_same(straight, fit(**options, checkpoint=tmp_path / "c.pt"))


def descend(optimizer, weight, loss, n_steps):
    """Losses of a descent."""
    losses = []
    for _ in range(n_steps):
        optimizer.zero_grad()
        value = loss(weight)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    return losses


def test_soap_is_adam_for_a_matrix_whose_gradients_are_uncorrelated():
    """With one row and one column the basis is trivial; the first step only measures."""
    a, b = (torch.nn.Parameter(torch.ones(1, 1)) for _ in range(2))
    bowl = lambda w: (w**4).sum()  # noqa: E731
    after_soap = descend(Soap([a], lr=0.01), a, bowl, 31)
    after_adam = descend(torch.optim.Adam([b], lr=0.01, betas=(0.95, 0.95)), b, bowl, 30)
    np.testing.assert_allclose(after_soap[1:], after_adam, rtol=1e-5)


def test_soap_does_not_mind_in_which_basis_a_problem_is_posed():
    """Rotating rows and columns of the weights rotates its steps; Adam's are others."""
    torch.manual_seed(0)
    real = {"dtype": torch.float64}
    left, right = (torch.linalg.qr(torch.randn(n, n, **real))[0] for n in (6, 5))
    stiffness, start = torch.logspace(0, 4, 30, **real).reshape(6, 5), torch.randn(6, 5, **real)
    losses = {}
    for name, make in (("soap", lambda w: Soap([w], lr=0.03, every=2)),
                       ("adam", lambda w: torch.optim.Adam([w], lr=0.03))):  # fmt: skip
        for turned in (False, True):
            weight = torch.nn.Parameter(left @ start @ right.T if turned else start.clone())

            def loss(w, turned=turned):
                own = left.T @ w @ right if turned else w
                return (stiffness * own.square()).sum()

            losses[name, turned] = descend(make(weight), weight, loss, 9)
    np.testing.assert_allclose(losses["soap", True], losses["soap", False], rtol=1e-6)
    assert abs(losses["adam", True][-1] / losses["adam", False][-1] - 1) > 0.01


def test_soap_gives_each_of_many_weights_the_steps_that_it_would_have_alone():
    """Weights of one shape share a state, whether or not all of them have a gradient."""
    torch.manual_seed(0)
    shapes = [(3, 4), (4,), (3, 4), (2, 3, 2), (4,), (3, 4), (2, 3, 2)]
    starts = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    loss = lambda w: (w**4).sum()  # noqa: E731
    alone = []
    for start in starts:
        weight = torch.nn.Parameter(start.clone())
        descend(Soap([weight], every=3), weight, loss, 8)
        alone.append(weight)
    together = [torch.nn.Parameter(start.clone()) for start in starts]
    idle = torch.nn.Parameter(torch.ones(3, 4, dtype=torch.float64))
    everything = Soap([idle, *together], every=3)
    descend(everything, together, lambda weights: sum(loss(w) for w in weights), 8)
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)
    assert torch.equal(idle.detach(), torch.ones(3, 4, dtype=torch.float64))


def test_soap_takes_its_second_moments_along_when_the_basis_turns():
    """Axes that only change places must not change the steps."""
    slope = torch.diag(torch.tensor([1.0, 2.0, 4.0]))
    weights = [torch.nn.Parameter(torch.zeros(3, 3)) for _ in range(2)]
    for weight, every in zip(weights, (1, 1000), strict=True):
        descend(Soap([weight], lr=0.1, every=every), weight, lambda w: (slope * w).sum(), 6)
    np.testing.assert_allclose(*(weight.detach() for weight in weights), atol=1e-6)
    assert float(weights[0].detach().diagonal().max()) < -0.4


def test_finished_run_resumes_to_itself(tmp_path):
    first = fit(checkpoint=tmp_path / "c.pt")
    assert_same(first, fit(checkpoint=tmp_path / "c.pt"))


def test_resume_false_starts_anew(tmp_path):
    fit(checkpoint=tmp_path / "c.pt", random_state=8)
    assert_same(fit(), fit(checkpoint=tmp_path / "c.pt", resume=False))


def test_best_weights_are_restored():
    module, history = fit(learning_rate=0.5, epochs=12, scheduler=None, validation_fraction=0.5)
    assert history["validation_loss"][-1] > min(history["validation_loss"])  # it did get worse
    order = torch.randperm(96, generator=torch.Generator().manual_seed(_seed(3)))[:48]
    kept_aside = {k: v[order] for k, v in make_data().items()}
    assert loss_fn(module, kept_aside).item() == pytest.approx(min(history["validation_loss"]))


def _seed(random_state):
    return int(np.random.default_rng(random_state).integers(2**62))


def test_early_stopping_after_patience():
    _, history = fit(learning_rate=0.5, epochs=200, patience=3, scheduler=None)
    losses = history["validation_loss"]
    assert len(losses) < 200
    assert int(np.argmin(losses)) == len(losses) - 4


def test_time_budget_ends_training_and_the_schedule():
    _, history = fit(epochs=10**6, max_seconds=0.3)
    assert history["seconds"][-1] < 3.0
    assert history["learning_rate"][-1] < 1e-3


def test_cosine_goes_to_zero_and_constant_stays():
    assert fit(epochs=50)[1]["learning_rate"][-1] < 1e-4
    assert set(fit(scheduler=None)[1]["learning_rate"]) == {1e-2}


def test_gradient_norm_is_clipped():
    """Adam's first step does not see the scale, so look at the gradients themselves."""
    module, _ = fit(max_gradient_norm=1e-3, epochs=1)
    norm = torch.sqrt(sum(p.grad.square().sum() for p in module.parameters()))
    assert norm <= 1.001e-3


@pytest.mark.parametrize("size", [1, 3, 16, 100])
def test_parts_of_a_batch_make_the_same_step(size):
    whole, parts = (torch.nn.Linear(3, 1) for _ in range(2))
    parts.load_state_dict(whole.state_dict())
    _, expected = fit(whole, epochs=3)
    _, history = fit(parts, epochs=3, samples_per_pass=size)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    torch.testing.assert_close(parts.weight, whole.weight, rtol=1e-4, atol=1e-5)


def test_bf16_learns_and_validates_in_float32():
    module, history = fit(bf16=True, epochs=30)
    assert history["validation_loss"][-1] < history["validation_loss"][0]
    assert all(p.dtype == torch.float32 for p in module.parameters())


def test_without_validation_the_training_loss_chooses():
    _, history = fit(validation_fraction=0)
    assert history["loss"] == history["validation_loss"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text"])
def test_damaged_checkpoint_is_one_clear_error(tmp_path, damage):
    path = tmp_path / "c.pt"
    fit(checkpoint=path)
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[10:400] = bytes(390)
    path.write_bytes({"truncate": data[: len(data) // 2], "flip": data, "empty": b"",
                      "text": b"hello"}[damage])  # fmt: skip
    with pytest.raises(ValueError, match=r"c\.pt.*damaged.*resume=False"):
        fit(checkpoint=path)


def test_checkpoint_executes_nothing(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"format": 1, "run": Bomb(), "identity": {}}, tmp_path / "c.pt")
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        fit(checkpoint=tmp_path / "c.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"batch_size": 8}, "batch_size: 16 then, 8 now"), ({"data": make_data(48)}, "data: ")],
)
def test_checkpoint_of_another_run_is_refused(tmp_path, options, message):
    fit(checkpoint=tmp_path / "c.pt")
    with pytest.raises(ValueError, match=message):
        fit(checkpoint=tmp_path / "c.pt", **options)


def test_checkpoint_of_another_seed_is_refused(tmp_path):
    for make in (int, np.int64, generator_of):  # correctors draw before they train
        path = tmp_path / f"{make.__name__}.pt"
        first = fit(checkpoint=path, random_state=make(3))
        with pytest.raises(ValueError, match=r"random_state: 3 then, 4 now.*another path"):
            fit(checkpoint=path, random_state=make(4))
        assert_same(first, fit(checkpoint=path, random_state=make(3)))
        assert_same(first, fit(checkpoint=path, random_state=None))
        with pytest.raises(ValueError, match="random_state: 3 then, 4 now"):
            fit(checkpoint=path, random_state=make(4))


def test_checkpoint_of_an_earlier_version_knows_no_seed_and_is_continued(tmp_path):
    path, options = tmp_path / "c.pt", {"scheduler": None}
    fit(epochs=2, checkpoint=path, **options)
    state = torch.load(path, weights_only=True)
    del state["identity"]["random_state"]
    torch.save(state, path)
    assert_same(fit(**options), fit(checkpoint=path, random_state=4, **options))
    assert_same(fit(**options), fit(checkpoint=path, random_state=5, **options))


def test_checkpoint_of_another_network_is_refused(tmp_path):
    fit(checkpoint=tmp_path / "c.pt")
    with pytest.raises(ValueError, match="another network"):
        fit(torch.nn.Linear(3, 1), checkpoint=tmp_path / "c.pt")


def test_divergence_is_named():
    def diverging(module, batch):
        return loss_fn(module, batch) * float("nan")

    with pytest.raises(FloatingPointError, match=r"epoch 1.*learning_rate"):
        train(make_module(), make_data(), diverging, epochs=2)


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"batch_size": 0},
        {"epochs": 1.5}, {"patience": 0}, {"validation_fraction": 1.0},
        {"scheduler": "step"}, {"optimizer": "sgd"}, {"max_gradient_norm": -1.0},
        {"max_seconds": 0},
    ],
)  # fmt: skip
def test_bad_options_are_named(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f"{name}="):
        fit(**options)


def test_all_samples_kept_aside_is_an_error():
    with pytest.raises(ValueError, match="leaves none of 1 samples"):
        fit(data=make_data(1))
