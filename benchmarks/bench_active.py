"""Does it pay to choose what to label? Active learning against random draws from one pool.

    python benchmarks/bench_active.py
    python benchmarks/bench_active.py --draw    # the picture in the guide, from the results

Iron, 54 atoms, embedded-atom forces and exchange that depends on distance; labels are exact. Two
pools of frames, each from two trajectories of the exact model, one frame every 100 fs:

- ``heating``: from 50 K to 4000 K in 10 ps, through melting; most of the frames are hot.
- ``pulses``: 20 ps at 300 K, with one pulse of 200 fs at 6000 K at a random time: hot frames
  are rare.

Every run begins with the first 20 frames of the first trajectory, which are cold. Active learning
is ActiveLearner with its defaults (automatic trust levels, a tenth of all labels held out) and
PoolExplorer; it ends by its own rules. Random draws add to the same 20 frames. Since twenty cold
frames resemble each other, active learning also begins with four of them, and random draws with
none. All errors are those of a single potential on another trajectory of the same kind
(of the ensemble: rms over its members), over the rms label there; "reached" is the smallest number
of labels, the first ones included, from which on both errors stay below 5 %.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from common import RESULTS, record
from sklearn.base import clone

from dlintegrate import (
    ActiveLearner,
    Ensemble,
    EquivariantSpinPotential,
    PoolExplorer,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    load,
)
from dlintegrate.active.calibration import measure
from dlintegrate.frames import make_frames

PICTURE = Path(__file__).parents[1] / "docs" / "_static" / "active_learning.svg"
GOAL = 0.05
N_INITIAL, N_FEW, BATCH = 20, 4, 4
DRAWS = (4, 8, 16, 32, 64, 128)
DT, SAVE = 2.0, 50  # fs, steps


def trajectory(model, kind, seed, kept):
    """States of one trajectory, (n_frames, 3, n_atoms, 3), computed or as ``kept`` has them."""
    path = None if kept is None else Path(kept) / f"{kind}_{seed}.npy"
    if path is None or not path.exists():
        states = simulated(model, kind, seed)
        if path is None:
            return states
        np.save(path, states)
    return np.load(path)


def simulated(model, kind, seed):
    """One trajectory of the exact model."""
    rng = np.random.default_rng(seed)
    state = model.random_states(1, rng, order=1e6)
    state[:, 0] = model.reference_positions
    n_frames = 100 if kind == "heating" else 200
    temperatures = np.full(n_frames, 300.0)
    if kind == "heating":
        temperatures = np.repeat(np.linspace(50.0, 4000.0, 20), n_frames // 20)
    else:
        start = rng.integers(30, n_frames - 10)
        temperatures[start : start + 2] = 6000.0
    state[:, 1] = model.thermal_momenta(temperatures[0], 1, rng)
    frames = []
    for k, temperature in enumerate(temperatures):
        step = SpinLatticeSplitting(
            model, DT, friction=0.01, damping=0.05, temperature=float(temperature),
            random_state=int(seed) * 1000 + k,
        )  # fmt: skip
        state = step.advance(state, SAVE)
        frames.append(state[0])
    return np.array(frames)


def pools(model, kind, seed, kept):
    """Pool and test frames with exact labels."""
    first, second, other = (trajectory(model, kind, 10 * seed + k, kept) for k in range(3))
    pool = make_frames(model, np.concatenate([first, second]))
    pool = pool.assign_coords(trajectory=("frame", np.repeat([0, 1], len(first))))
    return pool, make_frames(model, other)


def error_of(potentials, test):
    """Relative errors of a potential on the test frames, and the calibration of all."""
    found = measure(Ensemble(potentials), test)
    keep = ("relative_error", "error", "scale", "rank_correlation", "coverage")
    return {k: v for k, v in found.items() if k.endswith(keep)}


def drawn(potential, pool, initial, test, rng):
    """Errors after random draws, until they stay below the goal for good."""
    order = rng.permutation(pool.sizes["frame"])
    curve, reached = [], 0
    for n in DRAWS:
        chosen = np.concatenate([initial, order[:n]]).astype(int)
        fitted = clone(potential).set_params(random_state=0).fit(pool.isel(frame=chosen))
        curve.append({"n_labels": len(chosen), **error_of([fitted], test)})
        show(curve[-1])
        reached = reached + 1 if worst(curve[-1]) < GOAL else 0
        if reached == 2:
            break
    return curve


def learned(potential, pool, initial, test, model, seed):
    """Errors of the rounds of active learning, and why it stopped."""
    with tempfile.TemporaryDirectory() as folder:
        learner = ActiveLearner(
            potential, model, PoolExplorer(pool), batch_size=BATCH, n_rounds=8, folder=folder,
            random_state=seed,
        ).fit(pool.isel(frame=initial))  # fmt: skip
        curve = []
        for one in learner.rounds_:
            files = sorted(Path(folder).glob(f"round_{one['round']:03d}/member_*"))
            found = error_of([load(f, classes=[type(potential)]) for f in files], test)
            shares = {k: v for k, v in one.items() if k.startswith(("n_", "force_low"))}
            curve.append(shares | {"n_labels": len(initial) + one["n_labels"], **found})
            show(curve[-1])
    chosen = learner.frames_.isel(frame=slice(len(initial), None))
    return {
        "curve": curve,
        "stopped": learner.stopped_,
        "message": learner.message_,
        "hot_share_of_pool": hot_share(pool, pool),
        "hot_share_of_chosen": hot_share(chosen, pool),
    }


def hot_share(frames, pool):
    """Share of frames whose rms force is at least twice that of the first, cold ones."""
    if not frames.sizes["frame"]:
        return None
    strength = [np.sqrt(np.square(f.force.values).mean(axis=(1, 2))) for f in (frames, pool)]
    return float((strength[0] > 2 * strength[1][:N_INITIAL].mean()).mean())


def worst(point):
    """The larger of both relative errors."""
    return max(point["force_relative_error"], point["magnetic_force_relative_error"])


def reached(curve):
    """Labels from which on both errors stay below the goal, None if they never do."""
    good = [worst(point) < GOAL for point in curve]
    for k, point in enumerate(curve):
        if all(good[k:]):
            return point["n_labels"]
    return None


def show(point):
    """One line of progress."""
    print(
        f"  {point['n_labels']:4d} labels: force {point['force_relative_error']:.3f}, "
        f"magnetic force {point['magnetic_force_relative_error']:.3f}",
        flush=True,
    )


LOOKS = {
    "active": ("20 cold frames, then chosen", "#0072B2", "o", "-"),
    "random": ("20 cold frames, then random", "#D55E00", "s", "-"),
    "active_from_few": ("4 cold frames, then chosen", "#56B4E9", "^", "--"),
    "random_from_nothing": ("random alone", "#E69F00", "v", "--"),
}


def draw():
    """Curves of the larger relative error against labels, one for each seed."""
    import matplotlib.pyplot as plt

    rows = json.loads((RESULTS / "active.json").read_text())["results"]["rows"]
    kinds = list(dict.fromkeys(row["pool"] for row in rows))
    figure, axes = plt.subplots(
        1, len(kinds), figsize=(4.8 * len(kinds), 4.1), sharey=True, layout="constrained"
    )
    for ax, kind in zip(np.atleast_1d(axes), kinds, strict=True):
        for row in (row for row in rows if row["pool"] == kind):
            for name, (label, color, marker, line) in LOOKS.items():
                curve = row["curves"][name]
                ax.plot(
                    [point["n_labels"] for point in curve], [worst(point) for point in curve],
                    color=color, marker=marker, linestyle=line, markersize=3.5, linewidth=1.2,
                    label=label if row["seed"] == rows[0]["seed"] else None,
                )  # fmt: skip
        ax.axhline(GOAL, color="0.45", linestyle=":", linewidth=1.0)
        ax.set(xscale="log", yscale="log", title=kind, xlabel="labels, the first ones included")
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(LOOKS), frameon=False)
    np.atleast_1d(axes)[0].set_ylabel("larger relative rms error")
    with plt.rc_context({"svg.hashsalt": "active"}):
        figure.savefig(PICTURE, metadata={"Date": None})


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", default=["pulses", "heating"])
    parser.add_argument("--add", action="store_true", help="to the results of the other pools")
    parser.add_argument("--keep", help="folder in which trajectories are kept between runs")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    if options.draw:
        return draw()
    started = time.time()
    model = SpinLatticeCrystal("bcc", size=3, pair_potential="finnis-sinclair")
    potential = EquivariantSpinPotential(cutoff=4.0, n_basis=8, n_channels=3)
    results = []
    if options.add:
        known = json.loads((RESULTS / "active.json").read_text())["results"]["rows"]
        results = [row for row in known if row["pool"] not in options.kinds]
    for kind in options.kinds:
        for seed in options.seeds:
            pool, test = pools(model, kind, seed, options.keep)
            print(f"{kind}, seed {seed}: {time.process_time():.0f} s of CPU", flush=True)
            rng = np.random.default_rng(seed)
            first = np.arange(N_INITIAL)
            active = learned(potential, pool, first, test, model, seed)
            few = learned(potential, pool, first[:: N_INITIAL // N_FEW], test, model, seed)
            curves = {
                "active": active.pop("curve"),
                "random": drawn(potential, pool, first, test, rng),
                "active_from_few": few.pop("curve"),
                "random_from_nothing": drawn(potential, pool, first[:0], test, rng),
            }
            row = {
                "pool": kind, "seed": seed, **active, "stopped_from_few": few["stopped"],
                **{f"reached_{name}": reached(curve) for name, curve in curves.items()},
                "curves": curves,
            }  # fmt: skip
            print({k: v for k, v in row.items() if k != "curves"}, flush=True)
            print(f"{time.process_time():.0f} s of CPU", flush=True)
            results.append(row)
            record("active", {"rows": results, "goal": GOAL}, started, seeds=options.seeds)


if __name__ == "__main__":
    main()
