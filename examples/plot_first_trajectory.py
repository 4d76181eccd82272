"""
A first trajectory
==================

Spins of a ferromagnet in equilibrium, and how they move. Cost: a few seconds, most of them
compilation.
"""

# %%
# A system holds parameters and no state; samples are drawn from its canonical distribution.

import matplotlib.pyplot as plt
import numpy as np

from dlintegrate import HeisenbergLattice, SuzukiTrotter2, sample_canonical

system = HeisenbergLattice(shape=(16, 16, 16), J=1.0)
samples = sample_canonical(system, [0.4, 1.44, 2.4], 1, random_state=0)
print(samples.dims, samples.shape)

# %%
# An integrator has a system and a step. ``simulate`` returns an xarray Dataset.

trajectory = SuzukiTrotter2(system, dt=0.05).simulate(samples, t_max=10.0, save_every=4)
trajectory

# %%
# One layer of each sample, before and after: hue is the direction in the plane, and lightness the
# component out of it.


def colours(spins):
    hue = (np.arctan2(spins[..., 1], spins[..., 0]) / (2 * np.pi)) % 1.0
    light = 0.5 + 0.45 * spins[..., 2]
    return (
        plt.cm.hsv(hue)[..., :3] * (1 - abs(2 * light - 1))[..., None]
        + np.maximum(2 * light - 1, 0)[..., None]
    )


figure, axes = plt.subplots(2, 3, figsize=(7.5, 5), layout="constrained")
for column, temperature in enumerate(trajectory.temperature.values):
    for row, frame in enumerate((0, -1)):
        layer = trajectory.spin.isel(sample=column, time=frame, z=0).values
        axes[row, column].imshow(colours(layer))
        axes[row, column].set(
            xticks=[], yticks=[], title=f"T = {temperature}, t = {trajectory.time.values[frame]:g}"
        )

# %%
# The energy stays where it was to rounding, at any step. The magnetisation of this method is kept
# only to second order in the step.

drift = trajectory.magnetization - trajectory.magnetization.isel(time=0)
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3), layout="constrained")
for i, temperature in enumerate(trajectory.temperature.values):
    energy = (trajectory.energy[i] - trajectory.energy[i, 0]) / system.n_sites
    axes[0].plot(trajectory.time, energy, label=f"T = {temperature}")
    axes[1].plot(trajectory.time, np.linalg.norm(drift[i], axis=-1) / system.n_sites)
axes[0].set(xlabel="t", ylabel="change of energy per site")
axes[1].set(xlabel="t", ylabel="change of magnetisation per site")
figure.legend(loc="outside upper center", ncols=3, frameon=False)
plt.show()
