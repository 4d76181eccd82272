"""A training so small that it can be killed often; as a script, one rank or an endless run."""

import signal
import sys
from pathlib import Path

import torch

from dlintegrate.correctors.training import train


def make_module():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()  # so that a difference is one of substance, not of rounding


def make_data(n=90):  # 81 to train on: the last batch has one sample, and a rank has none
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return {"x": x, "y": x[:, :1] * x[:, 1:2]}


def loss_fn(module, batch):
    return (module(batch["x"]) - batch["y"]).square().mean()


def jitter(batch, generator):
    noise = 0.01 * torch.randn(batch["x"].shape, generator=generator)
    return {**batch, "x": batch["x"] + noise}


def fit(**options):
    module = make_module()
    settings = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2, "random_state": 3}
    settings |= {"augment": jitter, "max_gradient_norm": 0.5}
    return module, train(module, make_data(), loss_fn, **settings | options)


def fit_as_rank(folder):
    """What one of several processes finds, written to ``rankN.pt``."""
    import torch.distributed.nn  # before there is a group that its functions could hold for ever

    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    seed = 3 if rank == 0 else None  # the first one's seed counts
    module, _ = fit(epochs=1, batch_size=1000, random_state=seed, max_gradient_norm=None)
    gradients = [parameter.grad for parameter in module.parameters()]
    checkpoint = f"{folder}/rank{rank}-checkpoint.pt"
    fit(epochs=2, random_state=seed, checkpoint=checkpoint, scheduler="plateau")
    module, history = fit(
        random_state=seed, checkpoint=checkpoint, scheduler="plateau", max_seconds=1e3
    )
    refused = None
    try:
        train(make_module(), make_data(80 + rank), loss_fn)
    except ValueError as error:
        refused = str(error)
    torch.distributed.destroy_process_group()
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    found = {
        "gradients": gradients, "module": module.state_dict(), "history": history,
        "refused": refused, "threads": [name for name in threads if "gloo" in name],
    }  # fmt: skip
    torch.save(found, f"{folder}/rank{rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "rank":
        fit_as_rank(sys.argv[2])
    else:
        # a shell may start what runs in its background with this signal ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("started", flush=True)
        fit(epochs=10**9, scheduler=None, checkpoint=sys.argv[2])
