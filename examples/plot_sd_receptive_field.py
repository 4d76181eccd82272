"""
What a learned field has understood
===================================

Errors of a learned field of itinerant electrons on unseen spins, its symmetry, and how far it
sees, beside the exact one. Cost: about twenty seconds.
"""

# %%
# The learned field ships with the package. The exact one is averaged over twisted boundaries,
# which removes most of what a lattice of 24 × 24 does to its torques.

import matplotlib.pyplot as plt
import numpy as np

from dlintegrate import KernelPolynomial, TriangularSDModel, load_pretrained, skyrmion_lattice
from dlintegrate.metrics import (
    effective_receptive_field,
    equivariance_error,
    receptive_radius,
    torque_angle,
    torque_error,
)
from dlintegrate.plotting import plot_receptive_field

learned = load_pretrained("sd-torque").simulated
exact = TriangularSDModel(shape=(24, 24), solver=KernelPolynomial(n_moments=200, n_twists=2))
spins = np.concatenate(
    [
        skyrmion_lattice((24, 24), 2, offset=0.2, perturbation=0.2, random_state=1),
        exact.random_states(1, random_state=1, order=0.5),
    ]
)
field, predicted = exact.local_field(spins), learned.local_field(spins)
print("relative error of the torques", torque_error(predicted, field, spins, per_sample=True))

# %%
# Figures 3, 4 and 9 of Cheng and co-workers (2023). The error of the symmetry is what the field
# of turned spins differs from the turned field; it should be small beside the error of the field.

torques, wanted = np.cross(spins, predicted), np.cross(spins, field)
asymmetry = equivariance_error(learned, spins, n_operations=2, random_state=0)
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
axes[0].plot(wanted.ravel(), torques.ravel(), ".", color="#0072B2", markersize=2, alpha=0.4)
axes[0].axline((0, 0), slope=1, color="0.4", zorder=0)
axes[0].set(xlabel="exact component of the torque", ylabel="learned")
axes[1].hist(torque_angle(predicted, field, spins).ravel(), bins=60, color="#0072B2")
axes[1].set(xlabel="angle between the torques (degrees)", ylabel="sites")
bins = np.geomspace(1e-11, 1e-1, 60)
for name, error, color in [
    ("prediction", torques - wanted, "#0072B2"),
    ("symmetry", asymmetry, "#E69F00"),
]:
    axes[2].hist(
        np.abs(error).ravel(), bins=bins, density=False, alpha=0.7, color=color, label=name
    )
axes[2].set(xscale="log", xlabel="error of a component", ylabel="components")
axes[2].legend(frameon=False)
plt.show()

# %%
# Figure 10: how much the torque on a spin depends on each of the others. Of the learned field by
# automatic differentiation, of the exact one by turning the spin a little and looking at the
# fields on all the others.

chosen = skyrmion_lattice((24, 24), offset=0.2, perturbation=0.1, random_state=2)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
for ax, system, name in [(axes[0], learned, "learned"), (axes[1], exact, "exact")]:
    seen = effective_receptive_field(system, chosen, n_sites=1, random_state=0)
    radius = receptive_radius(seen, 0.9)
    plot_receptive_field(seen, ax, radius=radius, clim=(1e-4, 0.3))
    ax.set_title(f"{name}: 90 % within {radius:.1f} lattice constants")
plt.show()
