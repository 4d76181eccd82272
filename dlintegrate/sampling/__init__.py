"""Where samples come from: Monte Carlo chains, temperature ladders, and their diagnosis."""

from .canonical import sample_canonical
from .diagnostics import diagnose_sampling
from .ladder import annealing_ladder, park_temperatures

__all__ = ["annealing_ladder", "diagnose_sampling", "park_temperatures", "sample_canonical"]
