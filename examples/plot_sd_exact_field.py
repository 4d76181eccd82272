"""
The field of itinerant electrons
================================

Spins on a triangular lattice that interact through electrons: the exact field, checked by finite
differences, and how many moments the kernel polynomial method needs. Cost: about ten seconds.
"""

# %%
# A skyrmion lattice, slightly perturbed. The field has a large part along each spin, which does
# nothing, and a small one at right angles to it, which turns the spin. Here is the latter.

import matplotlib.pyplot as plt
import numpy as np

from dlintegrate import (
    ExactDiagonalization,
    KernelPolynomial,
    TriangularSDModel,
    skyrmion_lattice,
)
from dlintegrate.metrics import torque_error
from dlintegrate.plotting import plot_texture

model = TriangularSDModel(shape=(24, 24), solver=ExactDiagonalization())
spins = skyrmion_lattice((24, 24), offset=0.2, perturbation=0.1, random_state=0)
field = model.local_field(spins)
torque = np.linalg.norm(np.cross(spins, field), axis=-1)

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
plot_texture(spins, ax=axes[0]).set_title("spins")
plot_texture(spins, ax=axes[1], color=torque[0], arrows=None).set_title("size of the torque")
plt.show()

# %%
# The field is minus the gradient of the grand potential. Turn one spin a little, forth and back,
# along two directions at right angles to it.

small = TriangularSDModel(shape=(12, 12), solver=ExactDiagonalization())
start = skyrmion_lattice((12, 12), perturbation=0.3, random_state=0)
exact, angle, slopes, parts = small.local_field(start), 1e-3, [], []
for x, y in np.random.default_rng(0).integers(0, 12, size=(12, 2)):
    spin = start[0, x, y]
    turns = np.linalg.svd(spin[None])[2][1:]  # two unit vectors at right angles to the spin
    for turn in turns:
        pair = np.repeat(start, 2, axis=0)
        pair[:, x, y] = np.cos(angle) * spin + np.sin(angle) * np.outer([1, -1], turn)
        forth, back = small.energy(pair)
        slopes.append(-(forth - back) / (2 * np.sin(angle)))
        parts.append(exact[0, x, y] @ turn)
error = np.abs(np.array(slopes) - parts).max()
print(f"largest difference {error:.1e}, largest component {np.abs(parts).max():.2f}")

# %%
# The kernel polynomial method expands the Fermi function in Chebyshev polynomials. At the
# temperature of the electrons that function has no step, so the error falls exponentially. The
# Jackson kernel, which is made for steps, only smears.

moments = [50, 100, 150, 200, 300, 400]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
left.plot(parts, slopes, "o", color="#0072B2", markersize=4)
left.axline((0, 0), slope=1, color="0.6", zorder=0)
left.set(xlabel="component of the field", ylabel="slope of the grand potential")
for kernel, color in {"none": "#0072B2", "jackson": "#E69F00"}.items():
    errors = []
    for n in moments:
        model = TriangularSDModel(shape=(12, 12), solver=KernelPolynomial(n, kernel))
        errors.append(torque_error(model.local_field(start), exact, start))
    right.semilogy(moments, errors, "o-", color=color, label=f"kernel: {kernel}")
right.set(xlabel="moments", ylabel="relative error of the torque")
right.legend(frameon=False)
plt.show()
print("moments for a tolerance of 1e-5:", KernelPolynomial.suggest_moments(model, 1e-5))
