"""OpenMM on the two-dimensional fluid. Needs the wheel ``openmm``.

Lengths in nm, masses in atomic units, energies in kJ/mol and times in ps make reduced units. All
samples of a batch are one system, in which only particles of the same sample interact: through
bonds with the law of Lennard-Jones, at the nearest image. Its leapfrog takes momenta half a step
earlier; then its positions are those of velocity Verlet.
"""

import itertools

import numpy as np
import openmm
from openmm import unit
from serve import serve

LAW = "4*(r^(-12) - r^(-6))"


def bonds(samples, n):
    """All pairs inside each sample."""
    force = openmm.CustomBondForce(LAW)
    force.setUsesPeriodicBoundaryConditions(True)
    for sample in range(samples):
        for i, k in itertools.combinations(range(n), 2):
            force.addBond(sample * n + i, sample * n + k)
    return force


def cut(samples, n, cutoff):
    """All pairs within the cut-off. The energy is not shifted, which no force feels."""
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(cutoff)
    force.setUseDispersionCorrection(False)
    for _ in range(samples * n):
        force.addParticle(0.0, 1.0, 1.0)
    return force


def context_of(force, job, platform):
    """A context with the positions and momenta of the job, and its potential energy."""
    positions, momenta = (np.array(job[name]) for name in ("positions", "momenta"))
    flat = np.zeros((2, positions.size // 2, 3))
    flat[:, :, :2] = positions.reshape(-1, 2), momenta.reshape(-1, 2)
    system = openmm.System()
    for _ in range(flat.shape[1]):
        system.addParticle(1.0)
    system.addForce(force)
    height = 3 * (job["cutoff"] or job["side"])
    system.setDefaultPeriodicBoxVectors((job["side"], 0, 0), (0, job["side"], 0), (0, 0, height))
    properties = {"Threads": "1"} if platform == "CPU" else {}
    context = openmm.Context(
        system, openmm.VerletIntegrator(job["dt"]), openmm.Platform.getPlatformByName(platform),
        properties,
    )  # fmt: skip
    context.setPositions(flat[0])
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    context.setVelocities(flat[1] - 0.5 * job["dt"] * forces)
    return context, state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)


def prepare(job):
    """Potential energies, positions after a few steps, and the tasks of many."""
    positions = np.array(job["positions"])
    samples, n = (1, *positions.shape)[-3:-1]
    found = {"version": openmm.version.version, "energies": {}, "after": {}}
    tasks = {}
    for platform in job["platforms"]:
        force = cut(samples, n, job["cutoff"]) if job["cutoff"] else bonds(samples, n)
        context, energy = context_of(force, job, platform)
        name = f"OpenMM, {platform}"
        step = context.getIntegrator().step
        step(job["n_check"])
        after = context.getState(positions=True).getPositions(asNumpy=True)
        after = after.value_in_unit(unit.nanometer)[:, :2].reshape(positions.shape)
        found["energies"][name], found["after"][name] = energy, after.tolist()
        # the context is kept by the default argument
        tasks[name] = lambda step=step, context=context: step(job["n_steps"])
    return found, tasks, None


serve(prepare)
