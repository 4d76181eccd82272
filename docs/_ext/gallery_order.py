"""The order in which the gallery is read."""

_ORDER = (
    "plot_first_trajectory.py",
    "plot_seeing.py",
    "plot_corrected_integrator.py",
    "plot_park_figures.py",
    "plot_learned_composition.py",
    "plot_lj_phases.py",
    "plot_lj_stability.py",
    "plot_lj_transfer.py",
    "plot_sd_exact_field.py",
    "plot_sd_train.py",
    "plot_sd_relax.py",
    "plot_sd_receptive_field.py",
    "plot_spin_lattice_heat.py",
    "plot_dispersions.py",
    "plot_active_learning.py",
    "plot_grid_search.py",
    "plot_streaming.py",
)


class ReadingOrder:
    """Sort key of sphinx-gallery: first steps first, new files last."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        return (_ORDER.index(filename) if filename in _ORDER else len(_ORDER), filename)
