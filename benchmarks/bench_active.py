"""Does it pay to choose what to label? Active learning against random draws from one pool.

    python benchmarks/bench_active.py
    python benchmarks/bench_active.py --draw    # the picture in the guide, from the results

Iron, 54 atoms, embedded-atom forces and exchange that depends on distance; labels are exact. Two
pools of frames, each from two trajectories of the exact model, one frame every 100 fs:

- ``heating``: from 50 K to 4000 K in 10 ps, through melting; most of the frames are hot.
- ``pulse in 20 ps``, ``pulse in 80 ps``: so long at 300 K, with one pulse of 200 fs at 6000 K at
  a random time: hot frames are rare, or very rare.

Every run begins with the first 20 frames of the first trajectory, or with four of these, all of
them cold. Active learning is ActiveLearner with its defaults (automatic trust levels, a tenth of
all labels held out) but for ``coverage``, and PoolExplorer; it ends by its own rules. A coverage of
one means that no frame may be left about which the ensemble is unsure; with the default of 0.99 it
is content where only the rarest are wrong, and misses what the long pools are about. Random draws
add to the same frames; since a single order of drawing may be lucky, there are ``--orders`` of them
for each seed, and what random draws need is the median. All errors are those of a single potential
on another trajectory of the same kind (of the ensemble: rms over its members), over the rms label
there; "reached" is the smallest number of labels, the first ones included, from which on both
errors stay below 5 %; for random draws it is found by bisection, to a fifth.
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
from dlintegrate.active.labellers import label_with
from dlintegrate.frames import make_frames

PICTURE = Path(__file__).parents[1] / "docs" / "_static" / "active_learning.svg"
GOAL = 0.05
N_INITIAL, N_FEW, BATCH = 20, 4, 4
DRAWS = (8, 16, 32, 64, 128, 256)
DT, SAVE = 2.0, 50  # fs, steps
#: Frames of one trajectory of each kind.
FRAMES = {"heating": 100, "pulse in 20 ps": 200, "pulse in 80 ps": 800}


def trajectory(model, kind, seed, kept):
    """States of one trajectory, (n_frames, 3, n_atoms, 3), computed or as ``kept`` has them."""
    path = None if kept is None else Path(kept) / f"{kind.replace(' ', '_')}_{seed}.npy"
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
    n_frames = FRAMES[kind]
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


def drawn(potential, pool, initial, test, order):
    """Errors after draws in one random order, and the labels from which on they are good."""
    curve = {}

    def good(n):
        chosen = np.concatenate([initial, order[:n]]).astype(int)
        fitted = clone(potential).set_params(random_state=0).fit(pool.isel(frame=chosen))
        curve[n] = {"n_labels": len(chosen), **error_of([fitted], test)}
        return worst(curve[n]) < GOAL

    enough, in_a_row = None, 0
    for n in DRAWS:
        in_a_row = in_a_row + 1 if good(n) else 0
        enough = n if in_a_row == 1 else enough
        if in_a_row == 2:
            break
    if in_a_row == 0:
        enough = None
    else:
        few = max((n for n in curve if n < enough), default=0)
        while enough - few > max(1, enough // 5):
            middle = (few + enough) // 2
            few, enough = (few, middle) if good(middle) else (middle, enough)
    print(f"  {len(initial)} cold frames and random ones: {enough}", flush=True)
    return {
        "reached": None if enough is None else len(initial) + enough,
        "curve": [curve[n] for n in sorted(curve)],
    }


def draws(potential, pool, initial, test, orders):
    """Many random orders: their curves and quartiles of what they need."""
    runs = [drawn(potential, pool, initial, test, order) for order in orders]
    needed = np.array([np.inf if run["reached"] is None else run["reached"] for run in runs])
    low, median, high = np.quantile(needed, [0.25, 0.5, 0.75], method="higher")
    return {
        "median": finite(median), "quartiles": [finite(low), finite(high)],
        "needed": [finite(n) for n in np.sort(needed)],
        "curves": [[[p["n_labels"], worst(p)] for p in run["curve"]] for run in runs],
    }  # fmt: skip


def finite(number):
    """A whole number, or None where the goal was not reached."""
    return int(number) if np.isfinite(number) else None


def learned(potential, pool, initial, test, model, seed):
    """Errors of the rounds of active learning, and why it stopped."""

    def without_virial(frames):  # as the published numbers were measured
        return label_with(model, frames)

    with tempfile.TemporaryDirectory() as folder:
        learner = ActiveLearner(
            potential, without_virial, PoolExplorer(pool), batch_size=BATCH, n_rounds=8,
            coverage=1.0, folder=folder, random_state=seed,
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


def compare(start):
    """Add how active learning compares: over the median, and how often random draws do better."""
    needed = [np.inf if n is None else n for n in start["random"]["needed"]]
    if start["active"] is not None:
        start["share_of_median"] = float(start["active"] / np.median(needed))
        start["orders_within_thrice"] = float(np.mean(np.array(needed) < 3 * start["active"]))


def show(point):
    """One line of progress."""
    print(
        f"  {point['n_labels']:4d} labels: force {point['force_relative_error']:.3f}, "
        f"magnetic force {point['magnetic_force_relative_error']:.3f}",
        flush=True,
    )


LOOKS = {
    "active_20": ("20 cold frames, then chosen", "#0072B2", "o"),
    "active_4": ("4 cold frames, then chosen", "#56B4E9", "^"),
    "random_20": ("20 cold frames, then random", "#D55E00", None),
    "random_4": ("4 cold frames, then random", "#E69F00", None),
}


def draw():
    """The larger relative error against labels: one line for each run."""
    import matplotlib.pyplot as plt

    rows = json.loads((RESULTS / "active.json").read_text())["results"]["rows"]
    kinds = list(dict.fromkeys(row["pool"] for row in rows))
    figure, axes = plt.subplots(
        1,
        len(kinds),
        figsize=(3.6 * len(kinds), 4.1),
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for ax, kind in zip(np.atleast_1d(axes), kinds, strict=True):
        for name, (label, color, marker) in LOOKS.items():
            lines = []
            for row in (row for row in rows if row["pool"] == kind):
                if marker:
                    lines.append([[p["n_labels"], worst(p)] for p in row["curves"][name]])
                else:
                    lines += row["curves"][name]
            for k, line in enumerate(lines):
                ax.plot(
                    *np.transpose(line), color=color, marker=marker, markersize=3.5,
                    linewidth=1.4 if marker else 0.6, alpha=1.0 if marker else 0.5,
                    zorder=3 if marker else 2, label=None if k else label,
                )  # fmt: skip
        ax.axhline(GOAL, color="0.45", linestyle=":", linewidth=1.0)
        ax.set(xscale="log", yscale="log", title=kind, xlabel="labels, the first ones included")
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    np.atleast_1d(axes)[0].set_ylabel("larger relative rms error")
    with plt.rc_context({"svg.hashsalt": "active"}):
        figure.savefig(PICTURE, metadata={"Date": None})


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--orders", type=int, default=7, help="of random draws, for each seed")
    parser.add_argument("--kinds", nargs="+", default=list(FRAMES), choices=list(FRAMES))
    parser.add_argument("--keep", help="folder in which trajectories are kept between runs")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    if options.draw:
        return draw()
    started = time.time()
    model = SpinLatticeCrystal("bcc", size=3, pair_potential="finnis-sinclair")
    potential = EquivariantSpinPotential(cutoff=4.0, n_basis=8, n_channels=3)
    results = []
    for kind in options.kinds:
        for seed in options.seeds:
            pool, test = pools(model, kind, seed, options.keep)
            print(f"{kind}, seed {seed}: {time.process_time():.0f} s of CPU", flush=True)
            rng = np.random.default_rng(seed)
            orders = [rng.permutation(pool.sizes["frame"]) for _ in range(options.orders)]
            cold = np.arange(N_INITIAL)
            row = {"pool": kind, "seed": seed}
            curves = {}
            for first in (cold, cold[:: N_INITIAL // N_FEW]):
                n = len(first)
                run = learned(potential, pool, first, test, model, seed)
                curves[f"active_{n}"] = run.pop("curve")
                others = draws(potential, pool, first, test, orders)
                curves[f"random_{n}"] = others.pop("curves")
                row[f"start_{n}"] = {
                    **run, "active": reached(curves[f"active_{n}"]), "random": others,
                }  # fmt: skip
                compare(row[f"start_{n}"])
            row["curves"] = curves
            print({k: v for k, v in row.items() if k != "curves"}, flush=True)
            print(f"{time.process_time():.0f} s of CPU", flush=True)
            results.append(row)
            record("active", {"rows": results, "goal": GOAL}, started, seeds=options.seeds)


if __name__ == "__main__":
    main()
