"""What a TOML file builds: the very objects that Python would, and nothing but the library's."""

import pytest

from dlintegrate import (
    CorrectedIntegrator,
    Fallback,
    GraphForce,
    HeisenbergLattice,
    LennardJones2D,
    MultipleTimeStep,
    RollOut,
    SemiImplicitB,
    SuzukiTrotter2,
    TriangularSDModel,
    VelocityVerlet,
    load_pretrained,
    save,
)
from dlintegrate.configuration import Configuration, load_model, override
from dlintegrate.persistence import fingerprint

LATTICE = {"class": "HeisenbergLattice", "shape": [4, 4, 4]}


def same(a, b):
    return fingerprint(a) == fingerprint(b)


def test_lists_become_what_python_would_store():
    system = Configuration({"system": {**LATTICE, "field": [0, 0, 0.5]}}).system()
    assert same(system, HeisenbergLattice(shape=(4, 4, 4), field=(0, 0, 0.5)))


def test_the_system_reaches_every_integrator_that_has_none_of_its_own():
    small = {"class": "HeisenbergLattice", "shape": [2, 2, 2]}
    configuration = Configuration({
        "system": LATTICE,
        "base": {"class": "SuzukiTrotter2", "dt": 0.1},
        "reference": {"class": "BlanesMoan4", "dt": 0.02, "system": small},
        "corrector": {"class": "ElementaryDifferentialResidue"},
    })  # fmt: skip
    corrected = configuration.corrected()
    assert same(corrected.base.system, HeisenbergLattice((4, 4, 4)))
    assert same(corrected.reference.system, HeisenbergLattice((2, 2, 2)))


def test_nested_tables_are_estimators_but_for_those_that_are_parameters():
    configuration = Configuration({
        "seed": 7,
        "projection": ["energy"],
        "system": {"class": "LennardJones2D", "n_particles": 8},
        "base": {"class": "VelocityVerlet", "dt": 0.1},
        "corrector": {
            "class": "GraphForce", "width": 4, "training": {"class": "RollOut", "horizons": [1, 2]},
        },
        "fallback": {"class": "Fallback", "bounds": {"energy_change": [0, 0.01]}},
    })  # fmt: skip
    expected = CorrectedIntegrator(
        VelocityVerlet(LennardJones2D(8), 0.1),
        GraphForce(width=4, training=RollOut(horizons=(1, 2))),
        projection=("energy",), random_state=7,
        fallback=Fallback(bounds={"energy_change": (0, 0.01)}),
    )  # fmt: skip
    # Fallback is no plain data on its own: compared by what it does
    built = configuration.corrected()
    assert str(built.get_params()) == str(expected.get_params())


def test_fitted_ones_come_from_the_package_or_a_file_beside_the_toml_file(tmp_path):
    save(SuzukiTrotter2(HeisenbergLattice(4), 0.1), tmp_path / "step.safetensors")
    (tmp_path / "two.toml").write_text(
        '[system]\nclass = "TriangularSDModel"\n'
        '[integrator]\nclass = "MultipleTimeStep"\nfast = {pretrained = "sd-torque"}\n'
        'base = {class = "SemiImplicitB", dt = 4.0}\n'
    )
    stepper = load_model(str(tmp_path / "two.toml"))
    assert isinstance(stepper, MultipleTimeStep) and isinstance(stepper.base, SemiImplicitB)
    assert same(stepper.base.system, TriangularSDModel())
    assert same(stepper.fast, load_pretrained("sd-torque"))
    (tmp_path / "one.toml").write_text('integrator = {file = "step.safetensors"}\n')
    assert same(load_model(str(tmp_path / "one.toml")), SuzukiTrotter2(HeisenbergLattice(4), 0.1))


def test_overrides_are_toml_values_or_words():
    table = {"base": {"dt": 0.1}}
    for text in ("base.dt=0.2", "base.class=BlanesMoan4", "samples.temperature=[1.0, 2.0]"):
        override(table, text)
    assert table == {
        "base": {"dt": 0.2, "class": "BlanesMoan4"}, "samples": {"temperature": [1.0, 2.0]},
    }  # fmt: skip
    with pytest.raises(ValueError, match="base is not a table"):
        override({"base": 1}, "base.dt=0.2")


@pytest.mark.parametrize("table, told", [
    ({"sytem": {}}, "has no key 'sytem'; did you mean 'system'"),
    ({"random_state": 1}, "has no key 'random_state'"),
    ({"system": 3}, "expected a table with a class"),
    ({"system": {}}, 'needs one of class = "HeisenbergLattice"'),
    ({"system": {"class": "HeisenbergLattice", "file": "x"}}, "needs one of class"),
    ({"system": {"class": "System"}}, "none that can be made; expected"),
    ({"system": {"class": "ResidueStep"}}, "none that can be made"),
    ({"system": {"class": "os.system"}}, "none that can be made"),
    ({"system": {"class": "HeisenbergLattice", "j": 1}}, "HeisenbergLattice has no key 'j'"),
    ({"system": {"pretrained": "sd-torque"}}, r"\[system\] holds a CorrectedIntegrator"),
    ({"system": {"pretrained": "nothing"}}, r"\[system\]: name='nothing'"),
    ({"system": {"pretrained": "sd-torque", "J": 1}}, "is taken as it is"),
])  # fmt: skip
def test_what_cannot_be_built_is_told(table, told):
    with pytest.raises(ValueError, match=told):
        Configuration(table).system()


@pytest.mark.parametrize("table, told", [
    ({"integrator": {"class": "BlanesMoan4"}, "system": LATTICE}, "BlanesMoan4 needs dt"),
    ({"integrator": {"class": "BlanesMoan4", "dt": 0.1}}, "BlanesMoan4 needs system"),
    ({"system": LATTICE}, r"no \[integrator\] to simulate with: add one"),
])  # fmt: skip
def test_what_is_missing_is_told(table, told):
    with pytest.raises(ValueError, match=told):
        Configuration(table).integrator()


def test_a_file_that_is_not_toml_is_told_with_the_line(tmp_path):
    (tmp_path / "bad.toml").write_text("[system\n")
    with pytest.raises(ValueError, match=r"bad\.toml is not TOML: .*line 1"):
        Configuration.read(tmp_path / "bad.toml")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_model(str(tmp_path / "absent.toml"))


def test_a_file_without_an_integrator_is_no_model(tmp_path):
    save(HeisenbergLattice(4), tmp_path / "system.safetensors")
    with pytest.raises(ValueError, match="holds a HeisenbergLattice, not an integrator"):
        load_model(str(tmp_path / "system.safetensors"))
