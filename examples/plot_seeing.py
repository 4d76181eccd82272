"""
Spins that can be seen
======================

A hot film of spins cools down, and its vortices find one another; spins in space; and what the
library shows in a notebook. Cost: half a minute.
"""

# %%
# A damped film of 32 × 32 spins from complete disorder. ``dli`` is what a trajectory can show of
# itself.

import matplotlib.pyplot as plt

from dlintegrate import (
    CorrectedIntegrator,
    DampedMidpoint,
    HeisenbergLattice,
    LearnedComposition,
    SuzukiTrotter2,
    sample_canonical,
)
from dlintegrate.plotting import plot_history

film = HeisenbergLattice(shape=(32, 32))
cooling = DampedMidpoint(film, dt=0.1, damping=0.2)
run = cooling.simulate(film.random_states(1, random_state=1), t_max=24.0, save_every=6)
print(run.dli.summary())

# %%
# Colour is the component out of the film. ``path="film.gif"`` would write a file.

moving = run.dli.animate(every=2, interval=150)

# %%
# Spins in space are cones: hue is the direction in the plane of x and y, light is up, dark is down.

cube = HeisenbergLattice(shape=8)
samples = sample_canonical(cube, [0.4, 2.4], 8, random_state=0)
spins = SuzukiTrotter2(cube, dt=0.2).simulate(samples, t_max=2.0)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), subplot_kw={"projection": "3d"})
for ax, sample in zip(axes, [0, 8], strict=True):
    spins.dli.spin_texture(sample, ax=ax)
    ax.view_init(elev=22, azim=-62)
    ax.set_title(f"T = {spins.temperature.values[sample]}")
plt.show()

# %%
# How the training went, and the diagram that a notebook shows of an estimator. Its question marks
# lead to the pages of the classes.

corrected = CorrectedIntegrator(SuzukiTrotter2(cube, dt=0.2), LearnedComposition(), random_state=0)
plot_history(corrected.fit(samples))
plt.show()
corrected
