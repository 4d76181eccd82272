"""Spirit on a simple cubic lattice. Needs the wheel ``spirit``.

Energies are in meV and times in ps. Its spins turn the other way round; those of the job are
reversed on the way in and out.
"""

from importlib.metadata import version

import numpy as np
from serve import serve
from spirit import configuration, geometry, hamiltonian, parameters, simulation, state, system

GYROMAGNETIC, BOHR_MAGNETON = 0.1760859644, 0.057883817555  # rad/(T ps), meV/T
SOLVERS = {
    "Spirit SIB": simulation.SOLVER_SIB,
    "Spirit Heun": simulation.SOLVER_HEUN,
    "Spirit Runge-Kutta 4": simulation.SOLVER_RK4,
}


def prepare(job):
    """Energy, spins after a few steps of each solver, and the tasks of many."""
    side, start = job["side"], -np.array(job["spins"])
    p = state.setup(quiet=True)
    geometry.set_n_cells(p, [side] * 3)
    geometry.set_mu_s(p, 1.0)
    hamiltonian.set_boundary_conditions(p, [True] * 3)
    hamiltonian.set_exchange(p, 1, [1.0])
    hamiltonian.set_dmi(p, 0, [])
    hamiltonian.set_field(p, 0, [0, 0, 1])
    hamiltonian.set_anisotropy(p, 0, [0, 0, 1])
    configuration.plus_z(p)
    parameters.llg.set_damping(p, 0.0)
    parameters.llg.set_temperature(p, 0.0)
    parameters.llg.set_timestep(p, job["dt"] * BOHR_MAGNETON / GYROMAGNETIC)
    parameters.llg.set_output_general(p, any=False)
    parameters.llg.set_convergence(p, 0.0)
    spins = system.get_spin_directions(p)

    def run(solver, n):
        simulation.start(p, simulation.METHOD_LLG, solver, n_iterations=n, n_iterations_log=10 * n)

    spins[:] = start
    system.update_data(p)
    found = {"version": version("spirit"), "energy": system.get_energy(p), "after": {}}
    for name, solver in SOLVERS.items():
        spins[:] = start
        run(solver, job["n_check"])
        found["after"][name] = (-spins).tolist()
    found["precision"] = str(spins.dtype)
    tasks = {
        name: lambda solver=solver: run(solver, job["n_steps"]) for name, solver in SOLVERS.items()
    }
    return found, tasks, None


serve(prepare)
