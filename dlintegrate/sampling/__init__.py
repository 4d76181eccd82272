"""Where samples come from: Monte Carlo chains, temperature ladders, and their diagnosis."""

from .canonical import sample_canonical
from .diagnostics import diagnose_sampling
from .ladder import annealing_ladder, park_temperatures
from .langevin import sample_langevin
from .phase_diagram import park_states, sample_park_states
from .relaxation import sample_relaxation, torque_samples
from .thermodynamics import canonical_averages, heat_capacity, histograms

__all__ = [
    "annealing_ladder", "canonical_averages", "diagnose_sampling", "heat_capacity", "histograms",
    "park_states", "park_temperatures", "sample_canonical", "sample_langevin",
    "sample_park_states", "sample_relaxation", "torque_samples",
]  # fmt: skip
