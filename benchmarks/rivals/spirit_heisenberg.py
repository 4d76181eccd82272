"""Spirit on the same lattice: prints JSON, ns per spin and step. Arguments: side, steps."""

import json
import sys
import time

from spirit import configuration, geometry, hamiltonian, parameters, simulation, state

side, n_steps = int(sys.argv[1]), int(sys.argv[2])
result = {}
with state.State(quiet=True) as p:
    geometry.set_n_cells(p, [side] * 3)
    hamiltonian.set_boundary_conditions(p, [True] * 3)
    hamiltonian.set_exchange(p, 1, [1.0])
    hamiltonian.set_dmi(p, 0, [])
    hamiltonian.set_field(p, 0, [0, 0, 1])
    hamiltonian.set_anisotropy(p, 0, [0, 0, 1])
    configuration.random(p)
    parameters.llg.set_damping(p, 0.0)
    parameters.llg.set_temperature(p, 0.0)
    parameters.llg.set_timestep(p, 1e-4)
    parameters.llg.set_output_general(p, any=False)
    parameters.llg.set_convergence(p, 0.0)
    for name, solver in (("SIB", simulation.SOLVER_SIB), ("Heun", simulation.SOLVER_HEUN)):
        best = float("inf")
        for _ in range(4):
            started = time.perf_counter()
            simulation.start(
                p, simulation.METHOD_LLG, solver, n_iterations=n_steps, n_iterations_log=n_steps
            )
            best = min(best, time.perf_counter() - started)
        result[f"Spirit {name}"] = best / n_steps / side**3 * 1e9
print("RESULT " + json.dumps(result))
