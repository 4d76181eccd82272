"""The one training loop of everything that learns by stochastic gradient descent."""

import hashlib
import inspect
import math
import numbers
import os
import time
from dataclasses import dataclass, field, fields
from functools import cache

import numpy as np

from .._device import resolve_device
from ..persistence import replacing
from .process_group import process_group

_FORMAT = 1
_WARM_UP = 0.02  #: share of a cosine schedule in which the rate rises from zero
_PLATEAU_FACTOR, _PLATEAU_EPOCHS = 0.5, 5
_SEED = "random_state"  #: in the identity of a run; None if unknown, as in earlier versions
_ANEW = "pass resume=False (on the command line, --overwrite for --resume) to start anew"


def train(
    module, tensors, loss_fn, *, learning_rate=1e-3, batch_size=64, epochs=100,
    validation_fraction=0.1, patience=None, scheduler="cosine", max_gradient_norm=None,
    bf16=False, augment=None, checkpoint=None, resume=True, max_seconds=None,
    random_state=None, device="cpu", progress=False, identity=None, validation=None,
    scheduled=False, samples_per_pass=None, optimizer="adam",
):  # fmt: skip
    """Minimise a loss over samples; the module ends with its best weights.

    All samples go to the device once. With a ``checkpoint``, a run that is
    interrupted or killed continues where its last epoch ended, bit for bit as if
    it had never stopped (on the same device and number of threads and processes).

    In the ranks of an initialised ``torch.distributed`` process group, all of which
    call it with the same data and parameters, each rank takes its share of every
    batch and the gradients are added up: the weights are those of one process, up to
    rounding, on all ranks. The first one alone writes checkpoints and shows progress.

    Parameters
    ----------
    module : torch.nn.Module
        Trained in place; left on ``device`` in evaluation mode.
    tensors : dict of str to torch.Tensor
        The data, axis 0 ``sample``.
    loss_fn : callable
        ``loss_fn(module, batch)``, with ``batch`` a dict like ``tensors``: the
        mean loss per sample, a scalar tensor.
    learning_rate : float, default 1e-3
        Largest rate of the schedule.
    batch_size, epochs : int
        ``epochs`` counts from the very start, also in a resumed run.
    validation_fraction : float, default 0.1
        Share of the samples kept aside to choose the best weights; with 0 the
        training loss chooses.
    patience : int, optional
        Stop after this many epochs without improvement.
    scheduler : {"cosine", "plateau", None}, default "cosine"
        Cosine to zero over ``epochs`` (or ``max_seconds``), or halve after 5
        epochs without improvement, or a constant rate.
    max_gradient_norm : float, optional
        Clip the norm of the gradient.
    bf16 : bool, default False
        Train in mixed precision (validation stays in float32).
    augment : callable, optional
        ``augment(batch, generator)`` returns a transformed batch; random numbers
        come from the ``torch.Generator`` on the CPU.
    checkpoint : str or path-like, optional
        File replaced in one piece after every epoch.
    resume : bool, default True
        Continue from ``checkpoint`` if it exists, instead of replacing it.
    max_seconds : float, optional
        Budget of training time, over all resumed runs.
    random_state : numpy.random.Generator, numpy.random.RandomState, int or None
        A checkpoint of another int is refused; with anything else its run goes on with its own.
    device : str or torch.device, default "cpu"
    progress : bool, default False
        Show a progress bar over epochs.
    identity : dict, optional
        What else makes a run another one: a checkpoint with a different value is refused.
    validation : dict of str to torch.Tensor, optional
        Samples that choose the best weights, instead of a share of ``tensors``; their
        tensors may be of other lengths beyond axis 0.
    scheduled : bool, default False
        The loss changes with the learning rate: ``loss_fn(module, batch, share)`` with the
        present rate over the largest, 0 in validation. Training losses are then not
        comparable, so without validation the last weights are kept.
    samples_per_pass : int, optional
        Split batches, and sum the gradients of the parts: the same step with less memory.
    optimizer : {"adam", "soap"}, default "adam"
        "soap" is Adam in the eigenbasis of each weight matrix's gradients: more work per step,
        fewer steps.

    Returns
    -------
    dict of str to list
        One entry per epoch: ``loss``, ``validation_loss``, ``learning_rate``,
        ``seconds`` (since the start).

    Raises
    ------
    ValueError
        For parameters out of range, a damaged checkpoint, or one of another run.
    FloatingPointError
        If the loss is no longer finite.
    OSError
        If the checkpoint cannot be read, or not be written; the former one is then kept.
    """
    import torch

    options = _Options(
        learning_rate=float(learning_rate), batch_size=batch_size, epochs=epochs,
        validation_fraction=float(validation_fraction), patience=patience, scheduler=scheduler,
        max_gradient_norm=max_gradient_norm, bf16=bool(bf16), max_seconds=max_seconds,
        scheduled=bool(scheduled),
        samples_per_pass=samples_per_pass, optimizer=optimizer,
    )  # fmt: skip
    if validation is not None:
        options.validation_fraction = 0.0
    n_samples = _count(tensors)
    options.check()
    options.check_samples(n_samples)
    options.batch_size, options.epochs = int(batch_size), int(epochs)
    device = resolve_device(device)
    module.to(device)
    ranks = process_group()
    ranks.copy(module)
    steps = _optimizer(module, options, device)
    rng = generator_of(random_state)
    run = _Run(seed=ranks.same(lambda: int(rng.integers(2**62))))
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(run.seed)
        identity = {
            **options.identity(), **(identity or {}), "data": digest(tensors),
            "device": device.type,
        }  # fmt: skip
        identity = {k: v.item() if isinstance(v, np.generic) else v for k, v in identity.items()}
        ranks.agree(identity)
        identity[_SEED] = getattr(rng, "seed", None)  # of the first rank, like the seed of the run
        if checkpoint is not None:
            state = ranks.same(lambda: _read(checkpoint, identity) if resume else None)
            if state is not None:
                run.restore(state, checkpoint, module, steps)
                identity[_SEED] = state["identity"].get(_SEED)
        loop = _Loop(
            module, tensors, validation, loss_fn, augment, steps, options, run, device, ranks
        )

        def store():
            if checkpoint is not None:
                ranks.same(lambda: run.store(checkpoint, identity, module, steps))

        loop.fit(progress and ranks.rank == 0, store)
    module.load_state_dict(run.best)
    module.eval()
    return run.history


class _Seeded(np.random.Generator):
    """Random numbers that know the int they come from."""

    seed: int | None = None


def generator_of(random_state):
    """A ``numpy.random.Generator`` from whatever ``random_state`` may be; it knows its int."""
    if isinstance(random_state, numbers.Integral):
        rng = _Seeded(np.random.PCG64(random_state))
        rng.seed = int(random_state)
        return rng
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31)
    return np.random.default_rng(random_state)


#: Parameters that say how weights are trained or used, not what they mean.
_HOW = {"training", "precision", *inspect.signature(train).parameters}


def check_training(estimator, **replaced):
    """Check those attributes of an estimator that are parameters of :func:`train`.

    Parameters
    ----------
    estimator : object
    **replaced
        Values to check in place of those of the estimator.

    Raises
    ------
    ValueError
        For a value that no data make right.
    """
    names = [field.name for field in fields(_Options) if hasattr(estimator, field.name)]
    _Options(**{name: getattr(estimator, name) for name in names} | replaced).check()


@cache
def _meaning(cls):
    """Parameters that are not in ``_HOW``; kept, because every step of a network asks for them."""
    return tuple(name for name in cls._get_param_names() if name not in _HOW)


def description(estimator):
    """Class and parameters of an estimator, without those that say how and how long to train.

    Parameters
    ----------
    estimator : Estimator

    Returns
    -------
    str
        Of two estimators whose trained weights mean different functions it is different.
    """
    kept = {name: getattr(estimator, name) for name in _meaning(type(estimator))}
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in kept.items()}
    return f"{type(estimator).__name__}({plain})"


@dataclass
class _Options:
    learning_rate: float = 1e-3
    batch_size: int = 64
    epochs: int = 100
    validation_fraction: float = 0.0
    patience: int | None = None
    scheduler: str | None = None
    max_gradient_norm: float | None = None
    bf16: bool = False
    max_seconds: float | None = None
    scheduled: bool = False
    samples_per_pass: int | None = None
    optimizer: str = "adam"

    def check(self):
        """Raise ValueError for what cannot work."""
        rate = self.learning_rate
        if not (isinstance(rate, numbers.Real) and math.isfinite(rate) and rate > 0):
            raise ValueError(f"learning_rate={self.learning_rate!r}: expected a positive number")
        for name in ("batch_size", "epochs", "patience", "samples_per_pass"):
            value = getattr(self, name)
            if name in ("patience", "samples_per_pass") and value is None:
                continue
            whole = isinstance(value, numbers.Real) and math.isfinite(value) and value % 1 == 0
            if isinstance(value, bool) or not whole or value < 1:
                raise ValueError(f"{name}={value!r}: expected an int, 1 or more")
        fraction = self.validation_fraction
        if not isinstance(fraction, numbers.Real) or not 0 <= fraction < 1:
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r}: expected 0 or more, below 1"
            )
        if self.scheduler not in ("cosine", "plateau", None):
            raise ValueError(f"scheduler={self.scheduler!r}: expected 'cosine', 'plateau' or None")
        if self.optimizer not in ("adam", "soap"):
            raise ValueError(f"optimizer={self.optimizer!r}: expected 'adam' or 'soap'")
        for name in ("max_gradient_norm", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r}: expected a positive number or None")

    def check_samples(self, n_samples):
        """Raise ValueError if none is left to train on."""
        if n_samples - self.n_validation(n_samples) < 1:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves none of {n_samples} "
                "samples to train on; pass more samples or validation_fraction=0"
            )

    def n_validation(self, n_samples):
        """Samples kept aside, at least one unless the fraction is 0."""
        return math.ceil(self.validation_fraction * n_samples)

    def identity(self):
        """What must not change when a run is resumed."""
        names = ["learning_rate", "batch_size", "validation_fraction", "scheduler", "bf16"]
        if self.optimizer != "adam":  # checkpoints of earlier versions do not name it
            names.append("optimizer")
        return {name: getattr(self, name) for name in names}


@dataclass
class _Run:
    """Everything that changes during training, beside module and optimiser."""

    seed: int
    epoch: int = 0
    seconds: float = 0.0
    rate: float = 1.0
    stale: int = 0  # epochs since the last improvement
    waiting: int = 0  # the same since the rate was last halved
    best_loss: float = math.inf
    best: dict = field(default_factory=dict)
    history: dict = field(
        default_factory=lambda: {
            k: [] for k in ("loss", "validation_loss", "learning_rate", "seconds")
        }
    )
    generator: object = None

    def __post_init__(self):
        import torch

        self.generator = torch.Generator().manual_seed(self.seed)

    def store(self, path, identity, module, optimizer):
        """Write the checkpoint in one piece."""
        import torch

        cuda = torch.cuda.is_available() and identity["device"] == "cuda"
        state = {
            "format": _FORMAT,
            "identity": identity,
            "run": {k: v for k, v in vars(self).items() if k not in ("best", "generator")},
            "best": self.best,
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if cuda else None,
        }
        name = os.fspath(path)
        try:
            with replacing(name) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # torch raises the latter on a full disk
            raise OSError(
                f"cannot write checkpoint={name!r} ({str(error).splitlines()[0]}). The one "
                "before is kept, if there was one; free some space, then call again"
            ) from error

    def restore(self, state, path, module, optimizer):
        """Continue from what :func:`_read` returned."""
        import torch

        try:
            module.load_state_dict(state["module"])
        except RuntimeError as error:
            raise ValueError(
                f"checkpoint={os.fspath(path)!r} holds another network "
                f"({str(error).splitlines()[-1].strip()}); "
                f"{_ANEW}, or pass another path"
            ) from None
        optimizer.load_state_dict(state["optimizer"])
        for key, value in state["run"].items():
            setattr(self, key, value)
        self.best = state["best"]
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"])


class _Loop:
    """Epochs over data that lie on the device."""

    def __init__(
        self, module, tensors, validation, loss_fn, augment, optimizer, options, run, device, ranks
    ):
        import torch

        self.module, self.loss_fn, self.augment = module, loss_fn, augment
        self.optimizer, self.options, self.run, self.device = optimizer, options, run, device
        self.ranks = ranks
        n_samples = _count(tensors)
        order = torch.randperm(n_samples, generator=torch.Generator().manual_seed(run.seed))
        n_validation = options.n_validation(n_samples)
        self.training = {k: v[order[n_validation:]].to(device) for k, v in tensors.items()}
        if validation is None:
            validation = {k: v[order[:n_validation]] for k, v in tensors.items()}
        self.validation = {k: v.to(device) for k, v in validation.items()}
        self.n_training, self.n_validation = n_samples - n_validation, _count(validation)
        self.n_steps = math.ceil(self.n_training / options.batch_size)

    def fit(self, progress, store):
        """Run the epochs that remain."""
        from tqdm.auto import tqdm

        run, options = self.run, self.options
        if not run.best:
            self.keep_best()
            store()
        with tqdm(
            total=options.epochs, initial=run.epoch, desc="training", disable=not progress
        ) as bar:
            while run.epoch < options.epochs and not self.out_of_patience and not self.out_of_time:
                loss = self.epoch()
                self.note(loss, self.validate() if self.n_validation else loss)
                store()
                bar.update()
                bar.set_postfix(loss=f"{loss:.3g}", best=f"{run.best_loss:.3g}")

    @property
    def out_of_patience(self):
        return self.options.patience is not None and self.run.stale >= self.options.patience

    @property
    def out_of_time(self):
        return self.options.max_seconds is not None and self.run.seconds >= self.options.max_seconds

    def epoch(self):
        """One pass over the training samples; returns the mean loss."""
        import torch

        run, options = self.run, self.options
        self.module.train()
        order = torch.randperm(self.n_training, generator=run.generator).to(self.device)
        total, seen = torch.zeros((), dtype=torch.float64, device=self.device), 0
        started, before = time.perf_counter(), run.seconds
        for step, index in enumerate(order.split(options.batch_size)):
            self.set_rate(step)
            batch = {k: v[index] for k, v in self.training.items()}
            if self.augment is not None:
                batch = self.augment(batch, run.generator)
            total += self.gradients(batch, len(index))
            seen += len(index)
            if options.max_gradient_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.module.parameters(), options.max_gradient_norm)
            self.optimizer.step()
            run.seconds = self.clock(before + time.perf_counter() - started)
            if self.out_of_time:
                break
        loss = float(self.ranks.add(total)) / seen
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the training loss became {loss} in epoch {run.epoch + 1}; lower "
                f"learning_rate={options.learning_rate} or set max_gradient_norm"
            )
        return loss

    def gradients(self, batch, n_samples):
        """Set the gradients of the mean loss of a batch; returns this rank's part of its sum."""
        import torch

        self.optimizer.zero_grad(set_to_none=True)
        own = self.ranks.share(torch.arange(n_samples, device=self.device))
        total = torch.zeros((), device=self.device)
        for index in own.split(self.options.samples_per_pass or n_samples):
            whole = len(index) == n_samples
            if len(index) == 0:
                continue
            part = batch if whole else {k: v[index] for k, v in batch.items()}
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
                loss = self.loss(part, self.run.rate)
            (loss if whole else loss * (len(index) / n_samples)).backward()
            total = total + loss.detach() * len(index)
        self.ranks.add_gradients(self.module)
        return total

    def clock(self, seconds):
        """The first rank's seconds, where they decide anything."""
        return seconds if self.options.max_seconds is None else self.ranks.same(lambda: seconds)

    def loss(self, batch, share):
        """Mean loss of a batch; ``share`` is the rate over its largest value."""
        extra = (share,) if self.options.scheduled else ()
        return self.loss_fn(self.module, batch, *extra)

    def set_rate(self, step):
        """Learning rate of the step, from the share of the schedule that is done."""
        run, options = self.run, self.options
        if options.scheduler == "cosine":
            done = (run.epoch + step / self.n_steps) / options.epochs
            if options.max_seconds is not None:
                done = max(done, min(1.0, run.seconds / options.max_seconds))
            warm_up = min(1.0, (done + 1e-3) / _WARM_UP)
            run.rate = warm_up * 0.5 * (1.0 + math.cos(math.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * run.rate

    def validate(self):
        """Mean loss over the samples kept aside, in float32."""
        import torch

        self.module.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        started, before = time.perf_counter(), self.run.seconds
        own = self.ranks.share(torch.arange(self.n_validation, device=self.device))
        with torch.no_grad():
            for index in own.split(4 * self.options.batch_size) if len(own) else ():
                batch = {k: v[index] for k, v in self.validation.items()}
                total += self.loss(batch, 0.0) * len(index)
        self.run.seconds = self.clock(before + time.perf_counter() - started)
        return float(self.ranks.add(total)) / self.n_validation

    def note(self, loss, validation_loss):
        """Keep the history and the best weights, and halve the rate on a plateau."""
        run, options = self.run, self.options
        run.epoch += 1
        rate = options.learning_rate * run.rate
        for name, value in zip(
            run.history, (loss, validation_loss, rate, run.seconds), strict=True
        ):
            run.history[name].append(value)
        if options.scheduled and not self.n_validation:
            run.best_loss = validation_loss
            self.keep_best()
        elif validation_loss < run.best_loss:
            run.best_loss, run.stale, run.waiting = validation_loss, 0, 0
            self.keep_best()
        else:
            self.wait()

    def wait(self):
        """Count an epoch without improvement."""
        run, options = self.run, self.options
        run.stale, run.waiting = run.stale + 1, run.waiting + 1
        if options.scheduler == "plateau" and run.waiting >= _PLATEAU_EPOCHS:
            run.rate, run.waiting = run.rate * _PLATEAU_FACTOR, 0

    def keep_best(self):
        state = self.module.state_dict()
        self.run.best = {k: v.detach().to("cpu", copy=True) for k, v in state.items()}


def _read(path, identity):
    """A checkpoint of this run, or None if there is no file; nothing in it is executed."""
    import torch

    name = os.fspath(path)
    if not os.path.exists(name):
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        theirs, _ = state["identity"], state["run"]
        if state["format"] != _FORMAT:
            raise ValueError(f"format {state['format']}")
    except OSError as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise
        raise _damaged(name, error) from None
    except Exception as error:  # the unpickler raises whatever the damage leads it to
        raise _damaged(name, error) from None
    changed = [k for k in identity if theirs.get(k) != identity[k]]
    if _SEED in changed and None in (theirs.get(_SEED), identity[_SEED]):
        changed.remove(_SEED)
    if changed:
        told = ", ".join(f"{k}: {theirs.get(k)!r} then, {identity[k]!r} now" for k in changed)
        raise ValueError(
            f"checkpoint={name!r} belongs to another run ({told}); {_ANEW}, or pass another path"
        )
    return state


def _optimizer(module, options, device):
    import torch

    if options.optimizer == "soap":
        from ._soap import Soap

        return Soap(module.parameters(), lr=options.learning_rate)
    fused = True if device.type in ("cpu", "cuda") else None
    return torch.optim.Adam(module.parameters(), lr=options.learning_rate, fused=fused)


def _count(tensors):
    lengths = {k: len(v) for k, v in tensors.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"tensors of different lengths: {lengths}")
    return next(iter(lengths.values()))


def digest(tensors):
    """Enough of tensors to notice that they are others.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor

    Returns
    -------
    str
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        some = tensor.detach()
        if some.ndim:
            some = some[:: max(1, len(some) // 64)]
        some = some.contiguous().cpu().numpy()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode() + some.tobytes())
    return digest.hexdigest()


def _damaged(name, error):
    return ValueError(
        f"checkpoint={name!r} is damaged or not a checkpoint ({type(error).__name__}); "
        f"delete it, or {_ANEW}"
    )
