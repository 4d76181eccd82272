"""
Gas, liquid and solid
=====================

Samples of the Lennard-Jones fluid in three regions, and how a droplet moves. Cost: about fifteen
seconds, most of them compilation.
"""

# %%
# As in Figure 5.3 of Park (2022): density 0.1, below, near and above the critical temperature. The
# lower row has four times as many particles.

import matplotlib.pyplot as plt

from dlintegrate import LennardJones2D, VelocityVerlet, sample_canonical
from dlintegrate.plotting import animate_particles, plot_particles

phases = {0.27: "gas + solid", 0.47: "gas + liquid", 0.71: "gas"}
figure, axes = plt.subplots(2, 3, figsize=(8, 5.6), layout="constrained")
for row, n_particles in zip(axes, [16, 64], strict=True):
    system = LennardJones2D(n_particles=n_particles, density=0.1)
    samples = sample_canonical(system, list(phases), 1, n_sweeps=1000, random_state=1)
    for i, (temperature, phase) in enumerate(phases.items()):
        plot_particles(samples, i, row[i])
        row[i].set(title=f"{phase}, T = {temperature}", xlabel="", ylabel=f"n = {n_particles}")
        row[i].set(xticks=[], yticks=[])
plt.show()

# %%
# Each state comes from its own Markov chain, with local moves and with moves to anywhere in the
# box: to change from one cluster to another, a particle need not find its way through the gas.
#
# How the second of the larger samples moves:

trajectory = VelocityVerlet(system, dt=0.01).simulate(samples[1:2], t_max=30.0, save_every=75)
figure, axes = plt.subplots(figsize=(4, 4.2))
animation = animate_particles(trajectory, 0, axes, interval=120)

# %%
# Velocity Verlet keeps the total momentum to rounding, and the energy to the order of the method.

energy = (trajectory.energy - trajectory.energy[:, 0]) / system.n_sites
print(f"largest change of the energy per particle: {float(abs(energy).max()):.1e}")
print(f"largest total momentum: {float(abs(trajectory.momentum).max()):.1e}")
