"""
Grid search over a corrector
============================

Which order of elementary differentials is worth its features? Cost: about ten seconds.
"""

# %%
# The whole integrator is an estimator, so scikit-learn's search reaches into its corrector with
# two underscores.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, GroupKFold

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    SuzukiTrotter2,
    sample_canonical,
)

system = HeisenbergLattice(shape=4)
samples = sample_canonical(system, [0.4, 1.44, 2.4], 12, random_state=0)
corrected = CorrectedIntegrator(
    SuzukiTrotter2(system, dt=0.1),
    ElementaryDifferentialResidue(),
    reference=BlanesMoan4(system, dt=0.02),
)

# %%
# Samples that belong together carry one group number and are never split; here every initial
# state is its own group.

groups = np.arange(len(samples))
search = GridSearchCV(
    corrected,
    {"corrector__order": [3, 4, 5]},
    cv=GroupKFold(n_splits=4),
    scoring="neg_one_step_error",
)
search.fit(samples, groups=groups)
print(search.best_params_)

# %%
# Odd orders buy much and even ones little: the trees are added in the middle of the step, and
# around its middle a symmetric step errs in odd orders only.

order = search.cv_results_["param_corrector__order"].data.astype(int)
error = -search.cv_results_["mean_test_score"]
figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
axes.errorbar(order, error, search.cv_results_["std_test_score"], marker="o", capsize=3)
axes.axhline(-search.scorer_(corrected.base, samples), color="grey", linestyle=":")
axes.annotate("bare step", (4, -search.scorer_(corrected.base, samples)), va="bottom")
axes.margins(y=0.1)
axes.set(xlabel="order", ylabel="one-step error", yscale="log", xticks=order)
plt.show()
