"""Systems behind ASE calculators: energies, forces, spins, failures."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from dlintegrate import CalculatorSystem, SpinLatticeCrystal, save
from dlintegrate._units import ATOMIC_MASS

ase = pytest.importorskip("ase", reason="ASE is not installed")
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.calculators.calculator import CalculationFailed, Calculator  # noqa: E402
from ase.calculators.emt import EMT  # noqa: E402
from ase.calculators.lj import LennardJones  # noqa: E402
from ase.constraints import FixAtoms  # noqa: E402

MODEL = SpinLatticeCrystal(size=2, pair_potential="finnis-sinclair", field=(0.0, 0.0, 50.0))


class Spins(Calculator):
    """A calculator for the moments of iron, as another program would offer it."""

    implemented_properties = ("energy", "forces", "stress", "magnetic_forces")
    model = MODEL

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.calls = getattr(self, "calls", 0) + 1
        spins = atoms.get_initial_magnetic_moments()
        known = self.model.compute(atoms.positions[None], spins[None], virial=True)
        if np.abs(known.force).max() > 5.0:
            raise CalculationFailed("not converged")
        stress = -known.virial[0] / atoms.get_volume()
        self.results = {
            "energy": known.energy[0], "forces": known.force[0],
            "stress": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
            "magnetic_forces": known.magnetic_force[0],
        }  # fmt: skip


def iron():
    atoms = Atoms("Fe16", positions=MODEL.reference_positions, cell=MODEL.cell, pbc=True)
    atoms.set_initial_magnetic_moments([2.2] * 16)
    return atoms


def copper():
    return bulk("Cu", cubic=True) * (2, 2, 2)


class TestAtomsAlone:
    @pytest.mark.parametrize("calculator", [EMT(), LennardJones(sigma=2.3, epsilon=0.4, rc=5.0)])
    def test_the_force_is_the_gradient_of_the_energy(self, calculator):
        system = CalculatorSystem(copper(), calculator)
        states = system.random_states(1, 0)
        force = system.forces(states)[0]
        energies = []
        for shift in (-1e-4, 1e-4):
            moved = states.copy()
            moved[0, 0, 5, 1] += shift
            energies.append(system.potential_energy(moved)[0])
        assert -(energies[1] - energies[0]) / 2e-4 == pytest.approx(force[5, 1], rel=1e-6, abs=1e-8)

    def test_are_those_of_ase(self):
        atoms = copper()
        system = CalculatorSystem(atoms, EMT())
        states = system.random_states(2, 0)
        known = system.evaluate(states, virial=True)
        atoms.calc = EMT()
        for s in range(2):
            atoms.set_positions(states[s, 0])
            assert known.energy[s] == atoms.get_potential_energy()
            assert (known.force[s] == atoms.get_forces()).all()
            stress = atoms.get_stress(voigt=False)
            assert known.virial[s] == pytest.approx(-atoms.get_volume() * stress)
        assert not known.magnetic_force.any() and not system.moments.any()
        assert system.species == ["Cu"] * 32
        assert system.masses == pytest.approx(ATOMIC_MASS * atoms.get_masses())

    def test_are_not_modified_and_their_constraints_are_not_used(self):
        atoms = copper()
        before = atoms.get_positions()
        atoms.set_constraint(FixAtoms([0]))
        system = CalculatorSystem(atoms, EMT())
        assert system.forces(system.random_states(1, 0))[0, 0].any()
        assert (atoms.get_positions() == before).all() and atoms.calc is None

    def test_the_free_energy_is_taken_where_there_is_one(self):
        class Smeared(EMT):
            def calculate(self, *args, **kwargs):
                super().calculate(*args, **kwargs)
                self.results["free_energy"] = self.results["energy"] - 1.0

        states = CalculatorSystem(copper(), EMT()).random_states(1, 0)
        plain, smeared = (
            CalculatorSystem(copper(), c).potential_energy(states)[0] for c in (EMT(), Smeared())
        )
        assert smeared == pytest.approx(plain - 1.0)

    def test_a_calculator_without_stress_says_so(self):
        class Stressless(Spins):
            implemented_properties = ("energy", "forces", "magnetic_forces")

        system = CalculatorSystem(iron(), Stressless())
        with pytest.raises(NotImplementedError, match="Stressless has no stress"):
            system.pressure(system.random_states(1, 0))


class TestSpins:
    def test_there_and_back_again(self):
        system = CalculatorSystem(iron(), Spins())
        assert (system.moments == 2.2).all()
        states = MODEL.random_states(2, 0)
        for one, other in zip(
            system.evaluate(states, virial=True), MODEL.evaluate(states, virial=True), strict=True
        ):
            assert one == pytest.approx(other, rel=1e-12, abs=1e-14)
        assert system.pressure(states) == pytest.approx(MODEL.pressure(states), rel=1e-9)

    def test_one_calculation_serves_all_properties(self):
        system = CalculatorSystem(iron(), Spins())
        system.evaluate(MODEL.random_states(3, 0), virial=True)
        assert system.calculator.calls == 3

    def test_moments_are_lengths_of_the_initial_ones_or_given(self):
        atoms = iron()
        atoms.set_initial_magnetic_moments(None)
        atoms.set_initial_magnetic_moments([[0.0, 3.0, 4.0]] * 16)
        assert CalculatorSystem(atoms, Spins()).moments == pytest.approx(5.0)
        assert CalculatorSystem(atoms, Spins(), moment={"Fe": 2.0}).moments == pytest.approx(2.0)

    def test_are_left_out_without_magnetic_forces_unless_asked_for(self):
        assert not CalculatorSystem(iron(), EMT()).moments.any()
        with pytest.raises(ValueError, match=r"moment=2\.2, but EMT implements none of"):
            CalculatorSystem(iron(), EMT(), moment=2.2).random_states(1)

    def test_under_another_name_are_found_by_their_key(self):
        class Renamed(Spins):
            implemented_properties = ("energy", "forces")

            def calculate(self, *args, **kwargs):
                super().calculate(*args, **kwargs)
                self.results["dE"] = self.results.pop("magnetic_forces")

        states = MODEL.random_states(1, 0)
        system = CalculatorSystem(iron(), Renamed(), magnetic_key="dE")
        assert system.magnetic_forces(states) == pytest.approx(MODEL.magnetic_forces(states))
        system.set_params(magnetic_key="torque")
        with pytest.raises(ValueError, match="magnetic_key='torque': Renamed has only"):
            system.magnetic_forces(states)


class TestFailures:
    def test_a_failed_sample_is_lost_with_a_warning_and_the_others_go_on(self):
        system = CalculatorSystem(iron(), Spins())
        states = MODEL.random_states(3, 0)
        states[1, 0, 0] = states[1, 0, 1] + [0.71, 0.1, 0.0]
        with pytest.warns(RuntimeWarning, match="Spins failed for sample 1: not converged"):
            known = system.evaluate(states)
        assert np.isnan(known.energy).tolist() == [False, True, False]
        assert np.isnan(known.force[1]).all() and np.isfinite(known.force[2]).all()

    def test_atoms_that_are_not_periodic_are_refused(self):
        atoms = iron()
        atoms.pbc = [True, True, False]
        with pytest.raises(ValueError, match=r"atoms\.pbc=\[True, True, False\]"):
            CalculatorSystem(atoms, EMT()).random_states(1)
        with pytest.raises(ValueError, match="expected a cell that is periodic"):
            CalculatorSystem(Atoms("Fe", pbc=True), EMT()).random_states(1)
        with pytest.raises(TypeError, match="atoms is a ndarray"):
            CalculatorSystem(np.zeros((3, 3)), EMT()).random_states(1)

    def test_a_clone_shares_the_calculator_and_joblib_writes_both(self, tmp_path):
        system = CalculatorSystem(copper(), EMT())
        assert clone(system).calculator is system.calculator
        states = system.random_states(1, 0)
        joblib.dump(system, tmp_path / "copper.joblib")
        read = joblib.load(tmp_path / "copper.joblib")
        assert read.energy(states) == system.energy(states)
        with pytest.raises(TypeError, match="cannot be saved without pickle"):
            save(system, tmp_path / "copper.safetensors")

    def test_without_ase_the_message_says_what_to_install(self):
        script = (
            "import sys; sys.modules['ase'] = None\n"
            "from dlintegrate.systems.calculator import _calculator_error as find\n"
            "try: find()\nexcept ImportError as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert 'pip install "dlintegrate[ase]"' in done.stdout
