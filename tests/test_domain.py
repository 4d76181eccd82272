"""What an integrator was fitted on, and that it says so when it is used elsewhere."""

import json
import pickle
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    DomainWarning,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    LennardJones2D,
    SpinLatticeCrystal,
    SuzukiTrotter2,
    TriangularSDModel,
    UNetResidue,
    describe_pretrained,
    list_pretrained,
    load,
    load_pretrained,
    sample_canonical,
    save,
)
from dlintegrate.cli import main
from dlintegrate.persistence import fingerprint
from dlintegrate.state_files import write_states

SYSTEM = HeisenbergLattice(4)
OLD_FILE = Path(__file__).parent / "data" / "corrected-0.1.0.safetensors"


def fit(samples, corrector=None, system=SYSTEM):
    return CorrectedIntegrator(
        SuzukiTrotter2(system, 0.1),
        corrector or ElementaryDifferentialResidue(order=3),
        BlanesMoan4(system, 0.05),
    ).fit(samples)


@pytest.fixture(scope="module")
def fitted():
    return fit(sample_canonical(SYSTEM, [0.5, 1.5], 4, random_state=0))


def silent(function, *arguments):
    with warnings.catch_warnings(action="error", category=DomainWarning):
        return function(*arguments)


def told(function, *arguments):
    """The one warning that a call gives."""
    with pytest.warns(DomainWarning) as caught:
        function(*arguments)
    (warning,) = (str(w.message) for w in caught if w.category is DomainWarning)
    return warning


class TestWhatAFitRecords:
    def test_a_local_corrector_may_go_to_larger_lattices(self, fitted):
        assert fitted.domain_ == {"side": [4.0, None], "temperature": [0.5, 1.5]}

    def test_one_that_is_not_may_not(self):
        network = UNetResidue(width=2, depth=1, epochs=1, bottleneck="dense")
        assert fit(SYSTEM.random_states(4, 0), network).domain_["side"] == [4.0, 4.0]

    def test_without_labels_temperatures_are_estimated(self):
        samples = sample_canonical(HeisenbergLattice(8), [0.5, 1.5], 4, random_state=0)
        low, high = fit(samples.values).domain_["temperature"]
        assert 0.4 < low < 0.5 < 1.4 < high < 1.8

    def test_states_without_a_temperature_bound_nothing(self):
        aligned = np.zeros((2, 4, 4, 4, 3))
        aligned[..., 2] = 1.0
        assert "temperature" not in fit(aligned).domain_
        up_and_down = SYSTEM.random_states(40, 0)  # some have a negative temperature
        assert fit(up_and_down).domain_["temperature"][1] is None


class TestWarnings:
    @pytest.mark.parametrize("temperature", [0.47, 1.0, 1.6])
    def test_inside_nothing_is_said(self, fitted, temperature):
        states = sample_canonical(HeisenbergLattice(6), temperature, 8, random_state=1)
        silent(fitted.step, states)
        silent(fitted.step, states.values)

    @pytest.mark.parametrize("temperature", [0.4, 2.0])
    def test_a_labelled_temperature_is_taken_at_its_word(self, fitted, temperature):
        states = sample_canonical(SYSTEM, [1.0, temperature], 2, random_state=1)
        message = told(fitted.step, states)
        assert f"temperature {temperature:g} of samples 2, 3 (2 of 4) is not 0.5 to 1.5" in message
        assert "one_step_error" in message and message.startswith("samples: ")

    @pytest.mark.parametrize("temperature", [0.05, 10.0])
    def test_without_label_what_is_surely_outside_is_found(self, fitted, temperature):
        states = sample_canonical(HeisenbergLattice(8), temperature, 2, random_state=1)
        assert "temperature " in told(fitted.step, states.values)

    def test_a_simulation_warns_once_of_its_start(self, fitted):
        states = sample_canonical(SYSTEM, 3.0, 2, random_state=1)
        assert told(fitted.simulate, states, 1.0).startswith("initial: temperature 3 ")

    def test_several_conditions_share_one_message(self, fitted):
        states = sample_canonical(HeisenbergLattice((4, 4)), 3.0, 2, random_state=1)
        flat = fit(sample_canonical(HeisenbergLattice((6, 6)), 1.0, 2, random_state=1),
                   system=HeisenbergLattice((6, 6)))  # fmt: skip
        message = told(flat.step, states)
        assert "side 4 of samples 0, 1 (2 of 2) is not 6 or more" in message
        assert "temperature 3 " in message

    def test_an_upper_bound_alone(self, fitted):
        other = pickle.loads(pickle.dumps(fitted))
        other.domain_ = {"temperature": [None, 1.0]}
        assert "is not 1 or less" in told(other.step, sample_canonical(SYSTEM, 2.0, 1))


class TestEstimates:
    """What states show about their temperature, with its error."""

    @pytest.mark.parametrize("temperature", [0.2, 1.44, 4.0])
    def test_spins(self, temperature):
        widths = []
        for side in (4, 8):
            system = HeisenbergLattice(side, field=(0.0, 0.3, 0.0))
            states = sample_canonical(system, temperature, 40, random_state=3)
            estimate, lowest, highest = 1 / system.conditions(states.values)["temperature"]
            assert np.mean((highest <= 1 / temperature) & (1 / temperature <= lowest)) > 0.95
            assert np.median(estimate) == pytest.approx(1 / temperature, rel=0.2)
            widths.append(np.median(lowest - estimate))
        assert widths[1] < 0.5 * widths[0], "it falls with the root of the number of spins"

    def test_particles(self):
        system = LennardJones2D(100, 0.3)
        states = system.random_states(200, 0)  # momenta of temperature 0.5
        found = system.conditions(system.validate(states))
        temperature, lowest, highest = found["temperature"]
        np.testing.assert_allclose(temperature, system.kinetic_temperature(states))
        assert np.all((lowest < 0.5) & (0.5 < highest)) and highest.mean() < 1.0
        assert temperature.std() == pytest.approx(0.5 / np.sqrt(99), rel=0.2)
        assert (found["n_particles"] == 100).all()
        np.testing.assert_allclose(found["density"], 0.3)

    def test_few_particles_have_no_upper_bound(self):
        system = LennardJones2D(4, 0.1)
        _, _, highest = system.conditions(system.validate(system.random_states(3, 0)))[
            "temperature"
        ]
        assert (highest == np.inf).all()

    def test_atoms_and_atoms_at_rest(self):
        iron = SpinLatticeCrystal(size=3)
        states = iron.random_states(20, 0)  # at about 300 K
        states[0, 1] = 0.0
        temperature, lowest, highest = iron.conditions(states)["temperature"]
        assert np.isnan(temperature[0]) and np.isnan(highest[0])
        assert np.all((lowest[1:] < 300) & (300 < highest[1:]))
        np.testing.assert_allclose(
            temperature[1:], iron.observables(states)["lattice_temperature"][1][1:]
        )


class TestFiles:
    @pytest.mark.parametrize("how", ["save", "joblib"])
    def test_the_domain_is_kept(self, fitted, tmp_path, how):
        path = tmp_path / "file"
        if how == "save":
            save(fitted, path)
            again = load(path)
        else:
            joblib.dump(fitted, path)
            again = joblib.load(path)
        assert again.domain_ == fitted.domain_

    def test_it_is_no_part_of_what_makes_two_integrators_the_same(self, fitted):
        other = pickle.loads(pickle.dumps(fitted))
        other.domain_ = {}
        assert fingerprint(other) == fingerprint(fitted)

    def test_a_file_without_one_loads_and_says_nothing(self):
        old = load(OLD_FILE)
        assert not hasattr(old, "domain_")
        silent(old.step, np.load(OLD_FILE.with_suffix(".npz"))["before"])

    def test_the_command_warns_in_one_line(self, fitted, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        save(fitted, "c.safetensors")
        write_states(sample_canonical(SYSTEM, 3.0, 1, random_state=0), "hot.nc")
        words = "simulate c.safetensors hot.nc --t-max 0.2 -o run.nc"
        assert main(words.split()) == 0
        (line,) = [x for x in capsys.readouterr().err.splitlines() if "warning" in x]
        assert "temperature 3 of sample 0" in line and ".py" not in line


class TestShipped:
    @pytest.mark.parametrize("name", list_pretrained())
    def test_the_card_bounds_what_the_integrator_is_for(self, name):
        card, integrator = describe_pretrained(name), load_pretrained(name)
        assert integrator.domain_ == card["domain"]
        assert card["not_for"] and card["thresholds"] and card["rated"]["errors"]
        assert "python benchmarks/rate_pretrained.py" in card["rated"]["provenance"]["command"]
        system = integrator.system
        expected = set(system.conditions(system.validate(system.random_states(1, 0))))
        assert set(card["domain"]) == expected

    @pytest.mark.parametrize("name", [n for n in list_pretrained() if "unet" in n])
    def test_spins(self, name):
        integrator = load_pretrained(name)
        silent(integrator.step, sample_canonical(integrator.system, [0.5, 2.3], 2, random_state=0))
        hot = sample_canonical(integrator.system, 20.0, 2, random_state=0)
        assert "temperature 20 of" in told(integrator.step, hot)
        if not integrator.any_size:
            return
        own = integrator.domain_["side"][0]
        if own > 4:
            small = sample_canonical(HeisenbergLattice(4), 1.0, 1, random_state=0)
            assert "side 4 of" in told(integrator.step, small)

    @pytest.mark.parametrize("name", [n for n in list_pretrained() if "graph" in n])
    def test_particles(self, name):
        integrator = load_pretrained(name)
        inside = sample_canonical(LennardJones2D(16, 0.2), 0.47, 2, random_state=0, n_sweeps=200)
        silent(integrator.step, inside)
        dense = LennardJones2D(16, 0.85)
        message = told(integrator.step, sample_canonical(dense, 9.0, 1, random_state=0, n_sweeps=9))
        assert "density 0.85 of" in message and "temperature 9 of" in message

    @pytest.mark.parametrize("name", [n for n in list_pretrained() if "torque" in n])
    def test_itinerant_magnets(self, name):
        integrator = load_pretrained(name)
        silent(integrator.step, TriangularSDModel((24, 24)).random_states(1, 0))
        low = integrator.domain_["side"][0]
        assert f"is not {low} or more" in told(
            integrator.step, TriangularSDModel((6, 24)).random_states(1, 0)
        )

    def test_the_command_shows_it(self, capsys):
        assert main(["pretrained", "sublattice-unet"]) == 0
        shown = capsys.readouterr().out
        assert "domain:" in shown and "not_for:" in shown
        assert main(["pretrained", "sublattice-unet", "--json"]) == 0
        card = json.loads(capsys.readouterr().out)
        assert card["domain"] == load_pretrained("sublattice-unet").domain_
