"""
A correction without a cost of its own
======================================

Learn the lengths of the sweeps of a step, and compare with classical compositions at equal cost.
Cost: about twenty seconds.
"""

# %%
# The unit of cost is the half-sweep: one sublattice turned once. A composition of ten stages has
# twenty of them in a step.

import matplotlib.pyplot as plt

from dlintegrate import (
    BlanesMoan4,
    BlanesMoan6,
    CorrectedIntegrator,
    HeisenbergLattice,
    LearnedComposition,
    SuzukiTrotter2,
    SuzukiTrotter4,
    sample_canonical,
)
from dlintegrate.metrics import one_step_error

system = HeisenbergLattice(shape=6)
training = sample_canonical(system, [0.4, 1.0, 1.44, 2.4], 8, random_state=0)
unseen = sample_canonical(HeisenbergLattice(shape=10), [0.4, 1.44, 2.4], 4, random_state=1)

# %%
# At each budget, every method gets the step that the budget allows. The learned one is fitted for
# that step.

budgets = [20, 40, 80]
names = ["Suzuki–Trotter 2", "Suzuki 4", "Blanes–Moan 4", "Blanes–Moan 6", "learned"]
errors = {name: [] for name in names}
for budget in budgets:
    learned = CorrectedIntegrator(
        SuzukiTrotter2(system, 20 / budget),
        LearnedComposition(stages=10, angle_function=False, max_iter=15),
        reference=BlanesMoan6(system, 20 / budget / 16),
    ).fit(training)
    classical = [SuzukiTrotter2, SuzukiTrotter4, BlanesMoan4, BlanesMoan6]
    methods = [m(system, m(system, 1.0).n_half_sweeps / budget) for m in classical]
    for name, integrator in zip(names, [*methods, learned], strict=True):
        errors[name].append(one_step_error(integrator, unseen) / integrator.dt)

# %%
# The error of one step, per unit of time, on a lattice of another size than the one that it was
# learned on.

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
colors = ["0.6", "#56B4E9", "#009E73", "#0072B2", "#D55E00"]
for name, color in zip(names, colors, strict=True):
    axes.loglog(budgets, errors[name], "o-", color=color, label=name)
axes.set(xlabel="half-sweeps per unit of time", ylabel="error per unit of time", xticks=budgets)
axes.set_xticks(budgets, map(str, budgets))
axes.minorticks_off()
axes.legend(frameon=False)
plt.show()

# %%
# Whatever was learned, the energy is exact, because every sweep is a rotation in a frozen field.

run = learned.simulate(unseen, t_max=10.0)
print("largest change of energy per site:", float(abs(run.energy - run.energy[:, 0]).max()) / 1000)
