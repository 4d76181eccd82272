"""
Fitted on sixteen particles, used on more
=========================================

One fitted integrator on 16, 64 and 256 particles; all that it was trained on had 16. Cost: about
twenty seconds.
"""

# %%
# The forces are sums over pairs, each of which sees the others only through what they add up to. So
# nothing in them knows the number of particles.

import matplotlib.pyplot as plt

from dlintegrate import BlanesMoanRKN4, LennardJones2D, load_pretrained, sample_canonical
from dlintegrate.metrics import (
    energy_drift,
    fallback_fraction,
    momentum_drift,
    phase_space_distance,
    radial_distribution,
)
from dlintegrate.plotting import plot_distance, plot_radial_distribution

corrected = load_pretrained("lennard-jones-graph")
runs, exact = {}, {}
for n_particles, n_samples in {16: 16, 64: 16, 256: 4}.items():
    system = LennardJones2D(n_particles, density=0.38)
    samples = sample_canonical(system, 0.71, n_samples, n_sweeps=100, random_state=2)
    runs[n_particles] = corrected.simulate(samples, t_max=5.0)
    exact[n_particles] = BlanesMoanRKN4(system, 0.025).simulate(samples, t_max=5.0, save_every=4)

# %%
# What is kept is kept for any number of particles.

print("  n   energy per particle   momentum per particle   steps that fell back")
for n_particles, run in runs.items():
    drifts = [float(drift(run)["mean_absolute"].max()) for drift in (energy_drift, momentum_drift)]
    fell_back = float(fallback_fraction(run)["mean"])
    print(f"{n_particles:3d}   {drifts[0]:19.1e}   {drifts[1]:21.1e}   {fell_back:20.1e}")

# %%
# Left: the distance from a converged run grows alike, so the error of a step is the same for all.
# Right: the radial distribution functions of both runs, up to half of the box.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for n_particles, color in zip(runs, ["#0072B2", "#009E73", "#D55E00"], strict=True):
    label = f"n = {n_particles}"
    distance = phase_space_distance(runs[n_particles], exact[n_particles])
    plot_distance(distance, left, color=color, label=label)
    if n_particles > 16:
        g, g_exact = (radial_distribution(r[n_particles], 60, 4.0) for r in (runs, exact))
        plot_radial_distribution(g_exact, right, color=color, label=f"{label}, converged")
        plot_radial_distribution(
            g, right, band=False, color=color, marker=".", linestyle="", label=f"{label}, corrected"
        )
left.legend(frameon=False)
right.legend(frameon=False)
plt.show()
