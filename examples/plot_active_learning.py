"""
Active learning of iron
=======================

Twenty labelled frames of cold iron, and a potential that asks for what it misses; then
magnetisation against temperature, learned and true. Cost: about forty seconds.
"""

# %%
# The labels come from an analytic model here, 54 atoms with embedded-atom forces and an exchange
# that depends on distance. The first frames are from a short run at 100 K.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from dlintegrate import (
    ActiveLearner,
    DynamicsExplorer,
    EquivariantSpinPotential,
    LearnedCrystal,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
)
from dlintegrate.frames import make_frames
from dlintegrate.plotting import plot_exploration, plot_rounds

iron = SpinLatticeCrystal("bcc", size=3, pair_potential="finnis-sinclair")
thermostat = SpinLatticeSplitting(
    iron, dt=2.0, spin_step="semi-implicit", friction=0.02, damping=0.2, random_state=0
)


def run(system, temperature, t_max, start):
    """Heat from a start to a temperature, and record every 20 fs."""
    step = clone(thermostat).set_params(system=system, temperature=temperature)
    return step.simulate(start, t_max=t_max, save_every=10)


aligned = iron.random_states(2, random_state=0, order=1e6)
cold = run(iron, 100.0, 200.0, aligned).phase_space.isel(time=slice(1, None))
initial = make_frames(iron, cold.values.reshape(-1, *aligned.shape[1:]))

# %%
# Four potentials explore from there, with thermostats at up to 3000 K. The test frames, a hot run
# of the exact model, decide when it is time to stop; in the first round they also say how far a
# deviation of the ensemble can be trusted.

hot = run(iron, 3000.0, 300.0, aligned).phase_space.isel(time=slice(5, None))
test = make_frames(iron, hot.values.reshape(-1, *aligned.shape[1:]))
learner = ActiveLearner(
    EquivariantSpinPotential(cutoff=4.0, n_basis=8, n_channels=3, precision="single"),
    labeller=iron,
    explorer=DynamicsExplorer(
        thermostat, temperatures=[500.0, 1500.0, 3000.0], t_max=200.0, n_trajectories=2
    ),
    batch_size=5,
    n_rounds=3,
    validation=test,
)
learner.fit(initial)
print(f"{learner.stopped_}: {learner.message_}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
plot_rounds(learner.rounds_, left, tolerance=learner.tolerance)
plot_exploration(learner.rounds_, right)

# %%
# Magnetisation of atoms and spins in motion, from the best of the potentials and from the exact
# model. Small crystals keep some of it above the Curie temperature.

temperatures = np.array([100.0, 500.0, 900.0, 1300.0])
_, axes = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
systems = {"true": iron, "learned": LearnedCrystal(iron, learner.potential_)}
looks = {
    "true": {"color": "#000000", "marker": "o", "markersize": 10, "fillstyle": "none"},
    "learned": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
}
for name, system in systems.items():
    means = []
    for temperature in temperatures:
        magnetization = run(system, temperature, 1000.0, aligned).magnetization
        late = magnetization.isel(time=slice(20, None))
        means.append(float(np.linalg.norm(late, axis=-1).mean()) / iron.moments.sum())
    axes.plot(temperatures, means, label=name, **looks[name])
axes.set(xlabel="temperature (K)", ylabel="magnetisation / saturation", ylim=(0, 1))
axes.legend(frameon=False)
plt.show()
