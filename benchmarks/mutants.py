"""Whether the tests notice a wrong sign or factor: mutants of the kernels, one at a time.

Each is applied to a copy of the tree; then the tests that should notice it are run there, up to
the first failure. Kernels are compiled anew, since numba's cache does not see what has changed.

    python benchmarks/mutants.py [NAME ...] [--list] [--control]

Ten minutes on one core. What is found is kept beside what earlier runs found of other
mutants. ``--control`` runs the same tests on the unchanged copy first.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import common

ROOT = Path(__file__).parents[1]


class Mutant(NamedTuple):
    """A change of one line, and the tests that should notice it."""

    name: str
    file: str  #: below dlintegrate/
    old: str  #: must be there exactly once, or ``count`` times
    new: str
    tests: str  #: arguments of pytest
    count: int = 1  #: all of them are changed


MUTANTS = [
    # Heisenberg spins
    Mutant(
        "sense of rotation in a sweep", "_kernels/sweeps.py",
        "sx[k] = keep * a + s * (b * h - c * g)", "sx[k] = keep * a - s * (b * h - c * g)",
        "tests/test_integrators.py",
    ),
    Mutant(
        "angle of a sweep", "_kernels/sweeps.py",
        "s *= t\n            v *= t * t", "s *= 1.001 * t\n            v *= t * t",
        "tests/test_integrators.py",
    ),
    Mutant(
        "halving of large angles", "_kernels/sweeps.py",
        "v, s, u = 0.5 * s * s", "v, s, u = 0.51 * s * s",
        "tests/test_integrators.py -k large_angles",
    ),
    Mutant(
        "sign of the external field in the energy", "_kernels/heisenberg.py",
        "row -= s[x, y, z, c] * (coupling * h + bias[c])",
        "row -= s[x, y, z, c] * (coupling * h - bias[c])", "tests/test_heisenberg.py -k gradient",
    ),
    Mutant(
        "coefficient of Blanes-Moan", "integrators/composition.py",
        "0.209515106613362", "0.209515107613362",
        "tests/test_splittings.py -k conditions_of_their_order",
    ),
    Mutant(
        "temperature of the heat bath", "_kernels/monte_carlo.py",
        "kappa[i] = max(h / temperature, MIN_KAPPA)",
        "kappa[i] = max(1.05 * h / temperature, MIN_KAPPA)",
        "tests/test_sampling.py -k plane_is_drawn",
    ),
    Mutant(
        "over-relaxation", "_kernels/monte_carlo.py",
        "t = 2.0 * (a * f + b * g + c * h) / max(h2, 1e-300)",
        "t = 1.9 * (a * f + b * g + c * h) / max(h2, 1e-300)",
        "tests/test_sampling.py -k over_relaxation_keeps",
    ),
    Mutant(
        "Newton step of the projection", "_kernels/projection.py",
        "x = mu[1] - mu[0] * f", "x = mu[1] + mu[0] * f",
        "tests/test_heisenberg.py -k restores_energy",
    ),
    Mutant(
        "implicit midpoint", "_kernels/midpoint.py",
        "y = start[k, 1] + dt * (m[k, 2] * h[k, 0]", "y = start[k, 1] - dt * (m[k, 2] * h[k, 0]",
        "tests/test_integrators.py -k Midpoint",
    ),
    # damped spins
    Mutant(
        "damping of SemiImplicitB", "_kernels/spin_steps.py",
        "u = half * (precession * f - damping", "u = half * (precession * f + damping",
        "tests/test_llg.py -k analytic",
    ),
    Mutant(
        "noise of the damped midpoint", "_kernels/spin_steps.py",
        "+ 2.0 * noise[s, i,", "+ 1.0 * noise[s, i,", "tests/test_llg.py -k langevin_function", 3,
    ),
    Mutant(
        "noise amplitude of damped spins", "integrators/llg.py",
        "width = 0.5 * np.sqrt(2 * damping", "width = 0.5 * np.sqrt(1 * damping",
        "tests/test_llg.py -k langevin_function",
    ),
    # the Lennard-Jones fluid
    Mutant(
        "Lennard-Jones force", "_kernels/pairs.py",
        "(12.0 * law[0] * i3 - 6.0 * law[1])", "(12.0 * law[0] * i3 - 6.1 * law[1])",
        "tests/test_lennard_jones.py -k are_the_gradient",
    ),
    Mutant(
        "smooth truncation", "_kernels/pairs.py",
        "* i3 * inverse + 2.0 * law[4]", "* i3 * inverse + 1.0 * law[4]",
        "tests/test_lennard_jones.py -k are_the_gradient",
    ),
    Mutant(
        "outer kick of velocity Verlet", "integrators/verlet.py",
        "coefficients = (0.5, 1.0, 0.5)", "coefficients = (0.49, 1.0, 0.51)",
        "tests/test_splittings.py -k conditions_of_their_order",
    ),
    Mutant(
        "shares of inner and outer steps", "_kernels/respa.py",
        "(share if inner else 1.0 - share)", "(share if inner else 1.0 - 0.9 * share)",
        "tests/test_splittings.py -k inner",
    ),
    Mutant(
        "virial", "systems/lennard_jones.py",
        "(n * temperature + 0.5 * virial) / area", "(n * temperature + 0.25 * virial) / area",
        "tests/test_lennard_jones.py -k pressure",
    ),
    Mutant(
        "Metropolis of particles", "_kernels/particle_moves.py",
        "accept = row[CHANGE + s] < -temperature[s] * bound[s]",
        "accept = row[CHANGE + s] < -0.9 * temperature[s] * bound[s]",
        "tests/test_particle_sampling.py -k two_particles",
    ),
    Mutant(
        "external force of messages", "_kernels/pair_messages.py",
        "external = node[i, m] - node[k, m] - 2.0 * own[e, m]",
        "external = node[i, m] - node[k, m] - 1.0 * own[e, m]",
        "tests/test_force_correctors.py -k rounds_converge",
    ),
    # itinerant magnets
    Mutant(
        "Chebyshev recursion", "_kernels/chebyshev.py",
        "value = 2.0 * value - block[odd, q * SITES + s]",
        "value = 2.0 * value + block[odd, q * SITES + s]",
        "tests/test_sd_model.py -k converges_exponentially",
    ),
    Mutant(
        "first Chebyshev coefficient", "systems/kernel_polynomial.py",
        "series[:, 0] *= 0.5", "series[:, 0] *= 0.505",
        "tests/test_sd_model.py -k converges_exponentially",
    ),
    Mutant(
        "field of the electrons", "systems/sd_model.py",
        "[2 * real, -2 * imaginary, up - down]", "[2 * real, 2 * imaginary, up - down]",
        "tests/test_sd_model.py -k gradient",
    ),
    Mutant(
        "wave vectors of the structure factor", "metrics/textures.py",
        "(2 * q2[None, :] - q1[:, None]) / np.sqrt(3)",
        "(2 * q2[None, :] + q1[:, None]) / np.sqrt(3)",
        "tests/test_sd_model.py tests/test_texture_plots.py -k weight",
    ),
    Mutant(
        "topological charge", "metrics/textures.py",
        "+ _solid_angle(right, across, up)) / (4 * np.pi)",
        "+ _solid_angle(right, across, up)) / (2 * np.pi)", "tests/test_sd_model.py -k one_charge",
    ),
    Mutant(
        "gradient of an activation", "_kernels/directional_gradient.py",
        "g[i] *= half + half * z * (two - z * z)", "g[i] *= half + half * z * (two + z * z)",
        "tests/test_directional_network.py -k kernels_agree",
    ),
    # atoms with moments
    Mutant(
        "force of the exchange", "_kernels/spin_lattice.py",
        "stretch -= derivative * turn", "stretch += derivative * turn",
        "tests/test_crystal.py -k the_force_is",
    ),
    Mutant(
        "field of the anisotropy", "_kernels/spin_lattice.py",
        "magnetic[c] += 2.0 * strength * along * axis[c] * inverse_moment",
        "magnetic[c] += 1.0 * strength * along * axis[c] * inverse_moment",
        "tests/test_crystal.py -k the_magnetic_force_is",
    ),
    Mutant(
        "rotation of a bond", "_kernels/spin_sweeps.py",
        "dy = sine * (c * f - a * h)", "dy = -sine * (c * f - a * h)",
        "tests/test_spin_lattice.py -k precess_about",
    ),
    Mutant(
        "slope of a harmonic", "_kernels/spin_descriptors.py",
        "gz += a * (g[5] * y + g[6] * x) + 2.0 * g[8] * z",
        "gz += a * (g[5] * y + g[6] * x) + 1.0 * g[8] * z",
        "tests/test_potentials.py -k forces_are_the_gradient",
    ),
    Mutant(
        "gradient with respect to an atom's own spin", "_kernels/spin_descriptors.py",
        "total = 2.0 * ds * sigma[a]", "total = 1.0 * ds * sigma[a]",
        "tests/test_potentials.py -k forces_are_the_gradient",
    ),
    Mutant(
        "noise amplitude of the lattice", "integrators/langevin.py",
        "-np.expm1(-2 * friction * duration)", "-np.expm1(-1 * friction * duration)",
        "tests/test_langevin.py -k take_the_temperature",
    ),
    Mutant(
        "noise amplitude of moments", "integrators/langevin.py",
        "np.sqrt(2 * damping * GYROMAGNETIC", "np.sqrt(1 * damping * GYROMAGNETIC",
        "tests/test_langevin.py -k langevin_function",
    ),
]  # fmt: skip


def run(folder, tests):
    """Run tests in a copy of the tree; returns the exit code, the first failure and the seconds."""
    environment = {
        **os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg",
        "NUMBA_NUM_THREADS": "1", "DLINTEGRATE_NUMBA_CACHE": "0", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider",
        "-o", "addopts=", "-m", "not slow", "-x", "-q", "--tb=no", *shlex.split(tests),
    ]  # fmt: skip
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    failure = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 1):
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
    return done.returncode, failure and failure[1], time.monotonic() - started


def apply(mutant, folder):
    """Change the copy; returns what undoes it."""
    path = folder / "dlintegrate" / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != mutant.count:
        raise ValueError(
            f"{mutant.name}: {mutant.file} has {mutant.old!r} elsewhere, or not at all"
        )
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return lambda: path.write_text(text, encoding="utf-8")


def main():
    """Try mutants and report which survive; exit code 1 if any does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="part of a name; all by default")
    parser.add_argument("--list", action="store_true", help="print them and stop")
    parser.add_argument("--control", action="store_true", help="first run the tests unchanged")
    options = parser.parse_args()
    chosen = [
        m for m in MUTANTS if not options.names or any(name in m.name for name in options.names)
    ]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name}: {mutant.file}: {mutant.old.split(chr(10))[0]} -> {mutant.new}")
        return 0
    started, found = time.time(), {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("dlintegrate", "tests", "benchmarks"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        if options.control:
            for tests in sorted({m.tests for m in chosen}):
                code, failure, seconds = run(folder, tests)
                print(f"unchanged: {tests}: {code} {failure or ''} {seconds:.0f} s", flush=True)
                if code:
                    return 2
        for mutant in chosen:
            undo = apply(mutant, folder)
            code, failure, seconds = run(folder, mutant.tests)
            undo()
            caught = code == 1
            verdict = f"caught by {failure}" if caught else f"SURVIVED (exit code {code})"
            print(f"{mutant.name}: {verdict}, {seconds:.0f} s", flush=True)
            found[mutant.name] = {
                "mutant": mutant.name, "file": mutant.file, "was": mutant.old.split("\n")[0],
                "became": mutant.new.split("\n")[0], "caught": caught, "by": failure,
                "date": datetime.now(UTC).date().isoformat(),
            }  # fmt: skip
            keep(found, started)
    return 0 if all(row["caught"] for row in found.values()) else 1


def keep(found, started):
    """Record what was found, and what is known of the other mutants."""
    path = common.RESULTS / "mutants.json"
    known = {}
    if path.exists():
        known = {row["mutant"]: row for row in json.loads(path.read_text())["results"]["mutants"]}
    rows = [(known | found)[m.name] for m in MUTANTS if m.name in known | found]
    n_caught = sum(row["caught"] for row in rows)
    common.record("mutants", {"n_tried": len(rows), "n_caught": n_caught, "mutants": rows}, started)


if __name__ == "__main__":
    sys.exit(main())
