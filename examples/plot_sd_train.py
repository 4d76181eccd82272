"""
Learn the torques of itinerant electrons
========================================

Two rounds of learning from a handful of exact fields on 24 × 24 spins: first on starts, then on the
states that the first learned field relaxes them to. Cost: about forty seconds.
"""

# %%
# Random spins, and skyrmion lattices that are more and more perturbed. The exact fields are
# averaged over periodic and antiperiodic boundaries: with one boundary alone, torques on a
# lattice of this size have an error of several per cent, which no network should learn.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantTorque,
    FieldTraining,
    KernelPolynomial,
    SemiImplicitB,
    TriangularSDModel,
    skyrmion_lattice,
)
from dlintegrate.metrics import torque_error
from dlintegrate.plotting import plot_history

model = TriangularSDModel(shape=(24, 24), solver=KernelPolynomial(n_moments=160, n_twists=2))


def starts(n_each, seed):
    """Half of them random spins, half skyrmion lattices."""
    lattices = [
        skyrmion_lattice((24, 24), offset=0.2, perturbation=strength, random_state=seed)
        for strength in np.linspace(0.1, 0.3, n_each)
    ]
    return np.concatenate([model.random_states(n_each, random_state=seed), *lattices])


first = starts(3, seed=0)
first_fields = model.local_field(first)

# %%
# The first round. The network turns with the spins and with the lattice by construction, so few
# labels go a long way.

base = SemiImplicitB(model, dt=2.0, damping=0.1, drop_longitudinal=True)
network = EquivariantTorque(
    n_vectors=8, n_scalars=8, n_directed=2, depth=2,
    training=FieldTraining(epochs=60, learning_rate=5e-3, batch_size=2),
)  # fmt: skip
once = CorrectedIntegrator(base, clone(network), random_state=0)
once.set_params(corrector__training__epochs=120)  # as many steps as with twice the states
once.fit(first, first_fields)

# %%
# A dynamics soon leaves the states it began with. The learned field goes there at no cost; only
# what is kept gets an exact field.

second = once.simulate(first, t_max=60.0, save_every=30).spin.isel(time=-1).values
spins = np.concatenate([first, second])
fields = np.concatenate([first_fields, model.local_field(second)])
twice = CorrectedIntegrator(base, network, random_state=0).fit(spins, fields)

# %%
# Other starts, never seen: a test set must be split off by trajectory, since the frames of one
# resemble each other. Relaxed states have smaller torques, so errors weigh more there.

run = twice.simulate(starts(1, seed=1), t_max=160.0, save_every=20)
times = [0, 2, 4]
errors = {"first round": [], "second round": []}
for frame in run.spin.isel(time=times).transpose("time", "sample", ...).values:
    exact = model.local_field(frame)
    for name, learned in zip(errors, [once, twice], strict=True):
        predicted = learned.simulated.local_field(frame)
        errors[name].append(torque_error(predicted, exact, frame, per_sample=True))

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
for (name, error), learned, color in zip(
    errors.items(), [once, twice], ["#E69F00", "#0072B2"], strict=True
):
    plot_history(learned.history_, left, names=["loss"])
    left.lines[-1].set(color=color, label=name)
    for values, line, start in zip(
        np.transpose(error), ["o--", "o-"], ["random", "skyrmions"], strict=True
    ):
        label = f"{start}, {name}"
        right.plot(run.time[times], values, line, color=color, label=label)
left.legend(frameon=False)
right.set(xlabel="time ($1/t_1$)", ylabel="relative error of the torques", ylim=(0, None))
right.legend(frameon=False, fontsize=8)
plt.show()

# %%
# More rounds and longer training bring this down: ``load_pretrained("sd-torque")``.
