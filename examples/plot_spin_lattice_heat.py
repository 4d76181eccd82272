"""
Heat from atoms to spins
========================

A hot lattice of iron, cold spins, and no thermostat: the exchange between atoms that move turns
the spins, and the two temperatures approach each other. Cost: about ten seconds.
"""

# %%
# The spins start in a spiral. It is a state of rest, so their temperature is zero, and its total
# spin is zero too: exchange conserves the total, and an aligned magnet could not take up heat.

import matplotlib.pyplot as plt
import numpy as np

from dlintegrate import SpinLatticeCrystal, SpinLatticeSplitting

iron = SpinLatticeCrystal("bcc", size=4)
start = np.zeros((1, 3, iron.n_sites, 3))
start[0, 0] = iron.reference_positions
start[0, 1] = iron.thermal_momenta(1500.0, 1, random_state=0)
angle = 2 * np.pi * iron.reference_positions[:, 0] / iron.cell[0, 0]
start[0, 2] = 2.2 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)

run = SpinLatticeSplitting(iron, dt=1.0).simulate(start, t_max=6000.0, save_every=10)

# %%
# Half of the kinetic energy becomes potential energy of the atoms within a vibration. After that,
# heat trickles into the spins. The total energy stays, and so does the total spin.

smooth = run.rolling(time=20, center=True).mean().isel(sample=0)
_, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
for name, color in (("lattice", "#D55E00"), ("spin", "#0072B2")):
    left.plot(1e-3 * run.time, smooth[f"{name}_temperature"], color=color, label=name)
left.set(xlabel="time (ps)", ylabel="temperature (K)", ylim=(0, None))
left.legend(frameon=False)

energy = run.energy[0] - run.energy[0, 0]
right.plot(1e-3 * run.time, 1e6 * energy / iron.n_sites, color="#000000")
right.set(xlabel="time (ps)", ylabel="change of the total energy (µeV per atom)")
plt.show()

drift = float(np.abs(run.magnetization - run.magnetization[:, :1]).max())
print(f"total spin: {drift:.1e} μB from where it was")
