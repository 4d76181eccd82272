"""What the API reference owes its readers: shapes, returns, errors and sources, of every name."""

import ast
import inspect
import re
import textwrap
from importlib import import_module
from types import ModuleType

import pytest

import dlintegrate

MODULES = ("systems", "sampling", "integrators", "correctors", "potentials", "active", "frames",
           "metrics", "plotting", "datasets", "testing")  # fmt: skip
SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "Notes",
            "References", "Examples", "See Also")  # fmt: skip
#: A line that sends the reader to where it is explained.
POINTER = re.compile(
    r"\b(see|as|inverse of|torch twin of|like) (the )?(same )?:\w+:`", re.IGNORECASE
)

#: What tells the shape of an array.
SHAPE = re.compile(r"shape|\blike\b|axis 0|dims|one (value|number|entry)|\bper\b|\bdict\b")


def public_names():
    """Name and object of everything that is exported, each once."""
    found = {}
    for module in (dlintegrate, *(import_module(f"dlintegrate.{name}") for name in MODULES)):
        for name in getattr(module, "__all__", ("check_integrator",)):
            thing = getattr(module, name)
            if not isinstance(thing, ModuleType) and callable(thing):
                found.setdefault(id(thing), (name, thing))
    return list(found.values())


def callables():
    """All public functions, and methods and properties where they are defined."""
    found = {}
    for name, thing in public_names():
        if not inspect.isclass(thing):
            found.setdefault(thing, name)
            continue
        for owner in thing.__mro__:
            if not owner.__module__.startswith("dlintegrate"):
                continue
            for key, member in vars(owner).items():
                function = getattr(member, "fget", getattr(member, "__func__", member))
                if not key.startswith("_") and inspect.isfunction(function):
                    found.setdefault(function, f"{owner.__name__}.{key}")
    return [(name, function) for function, name in found.items()]


def sections(docstring):
    """Text of each section, the beginning under ''."""
    heads = "|".join(SECTIONS)
    parts = re.split(rf"^({heads})\n-+$", docstring, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section):
    """The lines ``name : type`` of a section, with what is told below each."""
    lines = re.split(r"^(?=\S)", section, flags=re.MULTILINE)
    return [part for part in lines if part.strip()]


def explained_elsewhere(docstring):
    return "\n" not in docstring.strip() or POINTER.search(docstring)


def body(function):
    return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]


def is_abstract(function):
    return getattr(function, "__isabstractmethod__", False)


def raised(function):
    """Names of the errors that stand in the function itself."""
    names = set()
    for node in ast.walk(body(function)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            names.add(ast.unparse(node.exc.func))
    return {name for name in names if re.fullmatch(r"\w+(Error|Exit)", name)}


ALL = public_names()
FUNCTIONS = callables()


def test_there_is_a_summary():
    everything = [*ALL, *FUNCTIONS]
    bare = [n for n, thing in everything if not (inspect.getdoc(thing) or "").strip()]
    assert not bare
    first = {n: inspect.getdoc(thing).split("\n\n")[0] for n, thing in everything}
    assert not [n for n, summary in first.items() if not re.search(r"[.:?!]\W*$", summary)]


def test_every_parameter_is_explained():
    missing = []
    for name, thing in [*ALL, *FUNCTIONS]:
        docstring = inspect.getdoc(thing)
        if explained_elsewhere(docstring) or is_abstract(thing):
            continue
        called = thing.__init__ if inspect.isclass(thing) else thing
        if called is object.__init__ or not inspect.isfunction(called):
            continue
        told = sections(docstring).get("Parameters", "") + sections(docstring).get("Attributes", "")
        for parameter in inspect.signature(called).parameters:
            if parameter not in ("self", "cls") and not re.search(rf"\b{parameter}\b", told):
                missing.append(f"{name}: {parameter}")
    assert not missing


def test_arrays_have_shapes():
    vague = []
    for name, thing in [*ALL, *FUNCTIONS]:
        parts = sections(inspect.getdoc(thing))
        for section in ("Parameters", "Attributes", "Returns"):
            for entry in entries(parts.get(section, "")):
                kind = entry.splitlines()[0]
                array = re.search(r"\b(ndarray|Tensor|array-like)\b", kind)
                if array and not SHAPE.search(entry.replace("array-like", "")):
                    vague.append(f"{name}: {kind}")
    assert not vague


def test_what_is_returned_is_told():
    silent = []
    for name, function in FUNCTIONS:
        docstring = inspect.getdoc(function)
        returns = [n.value for n in ast.walk(body(function)) if isinstance(n, ast.Return)]
        gives = [value for value in returns if value is not None and ast.unparse(value) != "None"]
        if explained_elsewhere(docstring) or not gives:
            continue
        told = sections(docstring)
        if not ({"Returns", "Yields"} & set(told) or re.match(r"Returns? ", docstring)):
            silent.append(name)
    assert not silent


def test_errors_are_told():
    silent = []
    for name, function in FUNCTIONS:
        errors = raised(function) - {"NotImplementedError"}
        docstring = inspect.getdoc(function)
        if errors and "\n" in docstring.strip():
            told = sections(docstring).get("Raises", "")
            silent += [f"{name}: {e}" for e in sorted(errors) if e not in told]
    assert not silent


#: Of this library, or older than publications that one could name.
WITHOUT_SOURCE = {
    "CorrectedIntegrator", "EquivariantResidue", "EquivariantTorque", "LearnedPotential",
    "SeriesTorque", "SublatticeComposition",
}  # fmt: skip


def methods():
    """Everything that steps, learns or solves by somebody's method."""
    kinds = (dlintegrate.Integrator, dlintegrate.Corrector, dlintegrate.Potential,
             dlintegrate.ElectronSolver)  # fmt: skip
    return {
        name: thing
        for name, thing in ALL
        if inspect.isclass(thing) and issubclass(thing, kinds) and not inspect.isabstract(thing)
    }


@pytest.mark.parametrize("name", sorted(methods()))
def test_methods_name_their_source(name):
    """A year, or an equation of a publication; the exceptions are few, and have none."""
    cited = re.search(r"\b(19|20)\d\d\b|\bEq\. ", inspect.getdoc(methods()[name]))
    assert bool(cited) == (name not in WITHOUT_SOURCE)


def test_the_exceptions_exist():
    assert set(methods()) >= WITHOUT_SOURCE
