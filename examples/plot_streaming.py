"""
A long run that may be interrupted
==================================

Frames go to a file as they are made; a run that stopped is continued bit for bit. Cost: a few
seconds.
"""

# %%
# The first part ends early. It might as well have been killed: the file is readable at any
# moment.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from dlintegrate import HeisenbergLattice, SuzukiTrotter2, open_trajectory, sample_canonical

system = HeisenbergLattice(shape=8)
samples = sample_canonical(system, 1.0, 4, random_state=0)
integrator = SuzukiTrotter2(system, dt=0.1)

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "run.nc"
integrator.simulate(samples, t_max=20.0, save_every=10, path=path).close()

# %%
# Another process, another day: the same integrator continues from the last complete frame.

integrator.resume(path, t_max=60.0).close()
resumed = open_trajectory(path)
at_once = integrator.simulate(samples, t_max=60.0, save_every=10)
print("same bits:", np.array_equal(resumed.spin.values, at_once.spin.values))

# %%
# Variables are read from the file when they are used.

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
drift = resumed.magnetization - resumed.magnetization.isel(time=0)
axes.plot(resumed.time, np.linalg.norm(drift, axis=-1).T / system.n_sites)
axes.axvline(20.0, color="grey", linestyle=":")
axes.annotate(" resumed here", (20.0, 0.0))
axes.set(xlabel="t", ylabel="change of magnetisation per site")
plt.show()
resumed.close()
folder.cleanup()
