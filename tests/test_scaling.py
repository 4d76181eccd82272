"""Runs that are interrupted, and runs on several processes: the same results as one that is not."""

import importlib.util
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from distributed_toy import fit
from test_active import INITIAL, same
from test_active import learner as make_learner

from dlintegrate import (
    CorrectedIntegrator,
    HeisenbergLattice,
    SuzukiTrotter2,
    UNetResidue,
    sample_canonical,
)

SCRIPT = str(Path(__file__).with_name("distributed_toy.py"))
needs_dask = pytest.mark.skipif(
    not importlib.util.find_spec("distributed"), reason="dask and distributed are missing"
)
needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is missing")


def assert_same(a, b):
    """Equal modules and losses, to the last bit."""
    (module_a, history_a), (module_b, history_b) = a, b
    for key, value in module_a.state_dict().items():
        assert torch.equal(value, module_b.state_dict()[key]), key
    assert history_a["loss"] == history_b["loss"]


def interrupt_training(path, number, delay):
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "endless", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "started\n", process.stderr.read()
    while not path.exists():
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(number)
    return process.communicate(timeout=60)[1]


def check_training_resumes(path):
    done = torch.load(path, weights_only=True)["run"]["epoch"]
    options = {"epochs": done + 3, "scheduler": None}
    assert_same(fit(**options), fit(**options, checkpoint=path))
    return done


@pytest.mark.slow
def test_training_killed_at_random_moments_resumes_bit_for_bit(tmp_path):
    done = []
    for seed in range(8):
        path = tmp_path / f"{seed}.pt"
        interrupt_training(path, signal.SIGKILL, np.random.default_rng(seed).uniform(0, 0.5))
        done.append(check_training_resumes(path))
    assert max(done) > 0


@pytest.mark.slow
def test_ctrl_c_ends_training_and_leaves_the_checkpoint_readable(tmp_path):
    errors = interrupt_training(tmp_path / "c.pt", signal.SIGINT, 0.2)
    assert "KeyboardInterrupt" in errors
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"], "no temporary file stays behind"
    check_training_resumes(tmp_path / "c.pt")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_full_disk_is_one_error_and_the_former_checkpoint_is_kept(tmp_path, share):
    """A limit on the size of files stands in for the disk."""
    path = tmp_path / "c.pt"
    fit(epochs=2, checkpoint=path, scheduler=None)
    former = path.read_bytes()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(former)), unlimited[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write checkpoint=.*c\.pt.*free some space"):
            fit(checkpoint=path, scheduler=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert path.read_bytes() == former
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"], "no temporary file stays behind"
    assert_same(fit(scheduler=None), fit(checkpoint=path, scheduler=None))


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            SCRIPT, "rank", str(tmp_path),
        ],
        check=True, timeout=300,
    )  # fmt: skip
    first, second = (torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in (0, 1))
    module, _ = fit(epochs=1, batch_size=1000, max_gradient_norm=None)
    for a, b in zip(module.parameters(), first["gradients"], strict=True):
        torch.testing.assert_close(a.grad, b, rtol=1e-11, atol=1e-14)
    alone, history = fit(scheduler="plateau")
    np.testing.assert_allclose(first["history"]["loss"], history["loss"], rtol=1e-10)
    np.testing.assert_allclose(
        first["history"]["validation_loss"], history["validation_loss"], rtol=1e-10
    )
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(first["module"][name], value, rtol=1e-9, atol=1e-10)
        assert torch.equal(first["module"][name], second["module"][name])
    written = {p.name for p in tmp_path.iterdir()}
    assert written == {"rank0.pt", "rank1.pt", "rank0-checkpoint.pt"}, "only rank 0 writes"
    assert "rank 1 trains on other data" in first["refused"] == second["refused"]
    assert first["threads"] == second["threads"] == [], "they would outlive the interpreter"


def check_same_bits(elsewhere):
    """Samples, labels and ensembles: first here, then in the processes of a cluster."""
    system = HeisenbergLattice(4)
    integrator = CorrectedIntegrator(
        SuzukiTrotter2(system, 0.2), UNetResidue(), reference=SuzukiTrotter2(system, 0.02)
    )

    def results():
        samples = sample_canonical(system, [0.5, 1.5], 3, random_state=0)
        learner = make_learner(n_rounds=1, tolerance=1e-9).fit(INITIAL)
        return samples, integrator.make_labels(samples), learner

    here = results()
    with elsewhere():
        workers = set(joblib.Parallel(prefer="threads")([joblib.delayed(os.getpid)()] * 8))
        assert workers and os.getpid() not in workers
        there = results()
    np.testing.assert_array_equal(here[0], there[0])
    np.testing.assert_array_equal(here[1], there[1])
    assert same(here[2], there[2])


@needs_dask
@pytest.mark.slow
def test_dask_workers_give_the_same_bits():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        check_same_bits(lambda: joblib.parallel_config(backend="dask"))


@needs_ray
@pytest.mark.slow
def test_ray_workers_give_the_same_bits():
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    try:
        check_same_bits(lambda: joblib.parallel_config(backend="ray", n_jobs=2))
    finally:
        ray.shutdown()
