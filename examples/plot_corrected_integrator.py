"""
A corrected integrator in twenty lines
======================================

Teach a step of 0.1 what a better integrator does, and look at both. Cost: some ten seconds.
"""

# %%
# The base is a step that is too large; the reference makes the labels; the corrector is a ridge
# regression.

import matplotlib.pyplot as plt

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    SuzukiTrotter2,
    sample_canonical,
)
from dlintegrate.metrics import one_step_error, spin_correlation

system = HeisenbergLattice(shape=6)
base, reference = SuzukiTrotter2(system, dt=0.1), BlanesMoan4(system, dt=0.02)
samples = sample_canonical(system, [0.4, 1.44, 2.4], 12, random_state=0)
corrected = CorrectedIntegrator(
    base, ElementaryDifferentialResidue(order=5), reference=reference, projection="energy"
).fit(samples)

# %%
# It was fitted on 6³ and is judged on 8³, on samples that it has not seen.

unseen = sample_canonical(HeisenbergLattice(shape=8), 1.0, 8, random_state=1)
print(f"one-step error: {one_step_error(base, unseen):.1e}")
print(f"     corrected: {one_step_error(corrected, unseen):.1e}")

# %%
# Whole trajectories: how long does each stay with the reference?

exact = reference.simulate(unseen, t_max=20.0, save_every=5)
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, integrator in {"bare": base, "corrected": corrected}.items():
    xi = spin_correlation(integrator.simulate(unseen, t_max=20.0), exact)
    axes.plot(xi.time, 1 - xi["mean"], label=f"{name}, dt = 0.1")
axes.set(xlabel="t", ylabel="1 − correlation with the reference", yscale="log", ylim=(1e-8, 2))
axes.axhline(0.01, color="grey", linewidth=0.8, linestyle=":")
axes.legend(frameon=False)
plt.show()
