"""What a notebook shows of an estimator: a diagram whose links lead into the documentation."""

import re
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import dlintegrate
from dlintegrate import (
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    Fallback,
    HeisenbergLattice,
    LennardJones2D,
    SuzukiTrotter2,
    _documentation,
)
from dlintegrate._documentation import documentation_page
from dlintegrate.integrators.composition import Composition
from dlintegrate.systems.spins import SpinSystem

INDEX = Path(__file__).resolve().parents[1] / "docs" / "api" / "index.rst"
SYSTEM = HeisenbergLattice(shape=4)
BASE = SuzukiTrotter2(SYSTEM, 0.1)
PUBLIC = [
    cls
    for cls in map(dlintegrate.__getattr__, dlintegrate._PUBLIC)
    if isinstance(cls, type) and issubclass(cls, BaseEstimator)
]


def generated_pages():
    """The pages that the tables of the reference generate, relative to the documentation."""
    module, pages = "", set()
    for line in INDEX.read_text().splitlines():
        if found := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = found.group(1)
        elif found := re.fullmatch(r"   (\w+)", line):
            pages.add(f"api/generated/{module}.{found.group(1)}.html")
    return pages


def links(estimator):
    """The pages that the diagram of an estimator leads to, in order."""
    return re.findall(r'href="(api/[^"#]*)"', estimator._repr_html_())


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
def test_every_public_estimator_leads_to_its_own_page_of_the_reference(cls):
    page = documentation_page(cls)
    assert page == f"api/generated/dlintegrate.{cls.__name__}.html"
    assert page in generated_pages()


def test_the_diagram_holds_each_nested_estimator_with_its_link():
    corrected = CorrectedIntegrator(BASE, ElementaryDifferentialResidue(), fallback=Fallback())
    expected = [CorrectedIntegrator, SuzukiTrotter2, HeisenbergLattice]
    expected += [ElementaryDifferentialResidue, Fallback]
    assert links(corrected) == [documentation_page(cls) for cls in expected]


def test_fitting_changes_nothing_but_the_mark():
    corrected = CorrectedIntegrator(BASE, ElementaryDifferentialResidue(order=3), random_state=0)
    before = links(corrected)
    assert "<span>Not fitted</span>" in corrected._repr_html_()
    corrected.fit(SYSTEM.random_states(4, 0, order=2.0))
    assert "<span>Fitted</span>" in corrected._repr_html_()
    assert links(corrected) == before


def test_what_is_not_public_leads_to_the_nearest_class_that_is():
    assert documentation_page(SpinSystem) == documentation_page(dlintegrate.System)
    assert documentation_page(Composition) == documentation_page(dlintegrate.Integrator)


def test_classes_of_users_have_no_page():
    class Mine(LennardJones2D):
        pass

    assert Mine()._get_doc_link() == ""
    assert links(Mine()) == []
    assert documentation_page(object) == ""


def test_the_address_of_the_documentation_is_set_in_one_place(monkeypatch):
    monkeypatch.setattr(_documentation, "DOCUMENTATION", "https://docs.invalid/")
    expected = "https://docs.invalid/api/generated/dlintegrate.HeisenbergLattice.html"
    assert SYSTEM._get_doc_link() == expected
    assert f'href="{expected}"' in SYSTEM._repr_html_()
