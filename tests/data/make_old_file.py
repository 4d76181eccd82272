"""Made corrected-0.1.0.safetensors and .npz, once. Do not run it again: the files are kept
to show that later versions read them."""

from pathlib import Path

import numpy as np

from dlintegrate import (
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    SuzukiTrotter2,
    save,
)

path = Path(__file__).parent / "corrected-0.1.0.safetensors"
system = HeisenbergLattice(shape=4)
states = system.random_states(8, 0, order=2.0)
corrected = CorrectedIntegrator(
    SuzukiTrotter2(system, 0.1), ElementaryDifferentialResidue(order=4), projection=("energy",)
).fit(states)
save(corrected, path)
before = system.random_states(2, 1)
np.savez(path.with_suffix(".npz"), before=before, after=corrected.step(before))
