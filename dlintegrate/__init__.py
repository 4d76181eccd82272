"""Classical dynamics at large time steps: integrators that learn what the step gets wrong."""

from importlib import import_module

__version__ = "0.1.0"

#: Public name to the module that defines it; loaded on first use, so that
#: ``import dlintegrate`` costs neither torch nor numba.
_PUBLIC = {
    "ActiveLearner": "active",
    "AtomicSystem": "systems",
    "BlanesMoan4": "integrators",
    "BlanesMoan6": "integrators",
    "BlanesMoanRKN4": "integrators",
    "CalculatorSystem": "systems",
    "CombinedForce": "correctors",
    "CorrectedIntegrator": "integrators",
    "Corrector": "correctors",
    "DampedMidpoint": "integrators",
    "DeepSpinPotential": "potentials",
    "DomainWarning": "integrators",
    "DynamicsExplorer": "active",
    "ElementaryDifferentialResidue": "correctors",
    "ElectronSolver": "systems",
    "Ensemble": "active",
    "EquivariantResidue": "correctors",
    "EquivariantSpinPotential": "potentials",
    "EquivariantTorque": "correctors",
    "ExactDiagonalization": "systems",
    "Explorer": "active",
    "Fallback": "integrators",
    "FieldCorrector": "correctors",
    "FieldTraining": "correctors",
    "FolderLabeller": "active",
    "ForceCorrector": "correctors",
    "GraphForce": "correctors",
    "HeisenbergLattice": "systems",
    "ImplicitMidpoint": "integrators",
    "Integrator": "integrators",
    "KernelPolynomial": "systems",
    "LandauLifshitzGilbert": "integrators",
    "LearnedComposition": "correctors",
    "LearnedCrystal": "potentials",
    "LearnedField": "integrators",
    "LearnedPotential": "correctors",
    "LennardJones2D": "systems",
    "ManyBodyForce": "correctors",
    "MultipleTimeStep": "integrators",
    "PEFRL": "integrators",
    "PairwiseForce": "correctors",
    "PoolExplorer": "active",
    "Potential": "potentials",
    "PotentialTraining": "potentials",
    "ResidueCorrector": "correctors",
    "RollOut": "correctors",
    "RungeKutta4": "integrators",
    "SemiImplicitB": "integrators",
    "SeriesTorque": "correctors",
    "SpinLatticeCrystal": "systems",
    "SpinLatticeSplitting": "integrators",
    "SublatticeComposition": "integrators",
    "SubsteppedVerlet": "integrators",
    "SuzukiTrotter2": "integrators",
    "SuzukiTrotter4": "integrators",
    "System": "systems",
    "TorqueCNN": "correctors",
    "TriangularSDModel": "systems",
    "UNetResidue": "correctors",
    "VelocityVerlet": "integrators",
    "canonical_averages": "sampling",
    "TrajectoryAccessor": "accessor",
    "describe_pretrained": "datasets",
    "export": "_export",
    "diagnose_sampling": "sampling",
    "frames_from_arrays": "frames",
    "frames_to_states": "frames",
    "heat_capacity": "sampling",
    "list_pretrained": "datasets",
    "load": "persistence",
    "load_pretrained": "datasets",
    "make_frames": "frames",
    "open_trajectory": "integrators",
    "park_states": "sampling",
    "park_temperatures": "sampling",
    "read_deepmd": "frames",
    "read_extxyz": "frames",
    "sample_canonical": "sampling",
    "sample_langevin": "sampling",
    "sample_park_states": "sampling",
    "sample_relaxation": "sampling",
    "skyrmion_lattice": "systems",
    "save": "persistence",
    "suggest_dt": "integrators",
    "torque_samples": "sampling",
    "write_deepmd": "frames",
    "write_extxyz": "frames",
}
_MODULES = (
    "benchmark", "correctors", "datasets", "frames", "integrators", "metrics", "plotting",
    "potentials", "sampling", "systems", "testing",
)  # fmt: skip

__all__ = sorted([*_PUBLIC, *_MODULES])


def __getattr__(name):
    if name in _PUBLIC:
        import_module(".metrics", __name__)  # scikit-learn gets to know its scorers by name
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, "__version__"]
