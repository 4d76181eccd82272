"""
A skyrmion lattice repairs itself
=================================

A perturbed skyrmion lattice of 48 × 48 spins, relaxed with a learned field that has seen 24 × 24
only. With exact fields this run would take hours. Cost: about half a minute.
"""

# %%
# The learned field ships with the package. It is local, so it serves any size.

import matplotlib.pyplot as plt

from dlintegrate import load_pretrained, skyrmion_lattice
from dlintegrate.metrics import ordering_weight, topological_charge
from dlintegrate.plotting import plot_structure_factor, plot_texture

learned = load_pretrained("sd-torque")
start = skyrmion_lattice((48, 48), offset=0.2, perturbation=0.2, random_state=0)
run = learned.simulate(start, t_max=300.0, save_every=10)

# %%
# The perturbation is different at every site, so it is short-waved, and soon gone.

figure, axes = plt.subplots(2, 2, figsize=(9.5, 7), layout="constrained")
for row, time in zip(axes, [0.0, run.time.values[-1]], strict=True):
    frame = run.sel(time=time)
    plot_texture(frame, ax=row[0], arrows=2).set_title(f"t = {time:g}")
    plot_structure_factor(frame, row[1], log=True)
plt.show()

# %%
# The topological charge counts how often the spins wrap the sphere; dotted, that of the lattice
# without perturbation. The weights at the ordering vectors would add up to 1 if nothing else were
# there.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.plot(run.time, topological_charge(run.spin)[0], "o-", color="#0072B2", markersize=3)
left.axhline(topological_charge(skyrmion_lattice((48, 48), offset=0.2))[0], color="0.6", ls=":")
left.set(xlabel="time ($1/t_1$)", ylabel="topological charge")
weights = ordering_weight(run.spin)[0]
for number, color in enumerate(["#0072B2", "#D55E00", "#009E73"]):
    right.plot(run.time, weights[:, number], color=color, label=f"Q{number + 1}")
right.plot(run.time, weights.sum(axis=-1), color="black", label="all")
right.set(xlabel="time ($1/t_1$)", ylabel="weight", ylim=(0, 1))
right.legend(frameon=False)
plt.show()
