"""Systems, integrators and fits described in a TOML file; only classes of the library are built."""

import contextlib
import inspect
import os
import tomllib
from difflib import get_close_matches

import dlintegrate

from .correctors import Corrector
from .datasets import list_pretrained, load_pretrained
from .integrators import CorrectedIntegrator, Fallback, Integrator
from .persistence import known_classes, load
from .systems import System

#: What may stand at the top of a file beside the parameters of a CorrectedIntegrator.
_SECTIONS = ("system", "integrator", "samples", "seed")
#: What the parts of a fit have to be; everything else follows from the classes.
_KINDS = {
    "system": System, "integrator": Integrator, "base": Integrator, "reference": Integrator,
    "corrector": Corrector, "fallback": Fallback,
}  # fmt: skip
#: What to show to those who wrote no class.
_EXAMPLES = {
    "system": "HeisenbergLattice", "integrator": "BlanesMoan4", "base": "SuzukiTrotter2",
    "reference": "BlanesMoan4", "corrector": "LearnedComposition", "fallback": "Fallback",
}  # fmt: skip
#: Parameters that are tables themselves, not estimators.
_PLAIN_TABLES = ("bounds",)
#: Instead of ``class``: an estimator from a file, or one that comes with the package.
_SOURCES = ("class", "file", "pretrained")


class Configuration:
    """A description of a system, an integrator, or a fit.

    Parameters
    ----------
    table : dict
        As TOML has it. ``system``, ``base``, ``corrector``, ``reference`` and ``fallback``,
        or ``integrator``, are tables with a ``class`` and its parameters, which may be such
        tables again; ``system`` is handed to all integrators that name none of their own.
        Instead of ``class``, ``file`` or ``pretrained`` takes a fitted one. ``samples``
        says where samples come from, ``seed`` seeds everything random. The other
        parameters of :class:`~dlintegrate.CorrectedIntegrator` stand at the top.
    name : str
        What to call it in error messages.
    folder : str or path-like
        What paths in the table are relative to.

    Examples
    --------
    >>> from dlintegrate.configuration import Configuration
    >>> Configuration({
    ...     "system": {"class": "HeisenbergLattice", "shape": [4, 4, 4]},
    ...     "integrator": {"class": "BlanesMoan4", "dt": 0.1},
    ... }).integrator()
    BlanesMoan4(dt=0.1, system=HeisenbergLattice(shape=(4, 4, 4)))
    """

    def __init__(self, table, name="configuration", folder="."):
        self.table, self.name, self.folder = table, name, folder
        known = [*_SECTIONS, *_parameters(CorrectedIntegrator)]
        known.remove("random_state")  # called seed here
        check_keys(table, known, name)
        _check_tables(table, name)

    @classmethod
    def read(cls, path, overrides=()):
        """Read a TOML file.

        Parameters
        ----------
        path : str or path-like
        overrides : sequence of str
            ``"base.dt=0.2"``: values that replace those of the file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is not TOML, with the line, or has unknown keys.
        """
        name = os.fspath(path)
        try:
            with open(path, "rb") as file:
                table = tomllib.load(file)
        except FileNotFoundError:
            raise FileNotFoundError(f"{name}: no such file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{name} is not TOML: {error}") from None
        for text in overrides:
            override(table, text)
        return cls(table, name, os.path.dirname(name) or ".")

    @property
    def system_name(self):
        """The class of the system, or what else stands there."""
        table = self.table.get("system", {})
        return table.get("class", self.name)

    @property
    def seed(self):
        """``seed``, 0 where none is given: what a file describes can be repeated."""
        return self.table.get("seed", 0)

    def has(self, section):
        """Whether the file says anything about ``section``."""
        return section in self.table

    def path(self, name):
        """A path of the file, relative to its folder."""
        return os.path.join(self.folder, name)

    def system(self):
        """The system.

        Raises
        ------
        ValueError
            With the section, the key, and what it may be.
        """
        return self._section("system", None)

    def integrator(self):
        """The integrator under ``[integrator]``.

        Raises
        ------
        ValueError
            With the section, the key, and what it may be; or if there is none.
        """
        if not self.has("integrator"):
            told = "it describes a fit; fit it first" if self.has("corrector") else "add one"
            raise ValueError(f"{self.name} has no [integrator] to simulate with: {told}")
        return self._section("integrator", self._optional_system())

    def corrected(self):
        """The unfitted :class:`~dlintegrate.CorrectedIntegrator` of a fit.

        Raises
        ------
        ValueError
            With the section, the key, and what it may be; or if a part is missing.
        """
        system = self._optional_system()
        parameters = {"random_state": self.seed}
        for key in set(_parameters(CorrectedIntegrator)) & set(self.table):
            value = self.table[key]
            is_part = key in _KINDS
            parameters[key] = self._section(key, system) if is_part else plain(value)
        for key in ("base", "corrector"):
            if key not in parameters:
                raise ValueError(f"{self.name} has no [{key}]; a fit needs [base] and [corrector]")
        return CorrectedIntegrator(**parameters)

    def _optional_system(self):
        return self.system() if self.has("system") else None

    def _section(self, key, system):
        if key not in self.table:
            raise ValueError(f"{self.name} has no [{key}]")
        built = self._build(self.table[key], key, system)
        kind = _KINDS[key]
        if not isinstance(built, kind):
            raise ValueError(
                f"{self.name}: [{key}] holds a {type(built).__name__}; expected a {kind.__name__}"
            )
        return built

    def _build(self, table, where, system):
        """An estimator from a table, and those below it."""
        source, value = self._source(table, where)
        if source == "class":
            return self._build_class(value, table, where, system)
        if len(table) > 1:
            raise ValueError(
                f"{self.name}: [{where}] has {source}={value!r} and other keys; a fitted one is "
                "taken as it is"
            )
        with _naming(f"{self.name}: [{where}]"):
            return load(self.path(value)) if source == "file" else load_pretrained(value)

    def _source(self, table, where):
        if not isinstance(table, dict):
            raise ValueError(f"{self.name}: {where}={table!r}: expected a table with a class")
        named = [key for key in _SOURCES if key in table]
        if len(named) != 1 or not isinstance(table[named[0]], str):
            example = _EXAMPLES.get(where, "...")
            raise ValueError(
                f'{self.name}: [{where}] needs one of class = "{example}", file = "...", '
                'pretrained = "..."'
            )
        return named[0], table[named[0]]

    def _build_class(self, name, table, where, system):
        classes = _public_classes(_KINDS.get(where, object))
        if name not in classes:
            told = (
                "not what belongs there" if name in _public_classes() else "none that can be made"
            )
            raise ValueError(
                f"{self.name}: [{where}] class={name!r} is {told}; {choices(name, classes)}"
            )
        cls, where_class = classes[name], f"{self.name}: [{where}] {name}"
        given = {key: value for key, value in table.items() if key != "class"}
        check_keys(given, _parameters(cls), where_class)
        given = {
            key: self._value(value, key, f"{where}.{key}", system) for key, value in given.items()
        }
        if "system" in _parameters(cls) and system is not None:
            given.setdefault("system", system)
        check_complete(given, cls, where_class)
        return cls(**given)

    def _value(self, value, key, where, system):
        if isinstance(value, dict) and key not in _PLAIN_TABLES:
            return self._build(value, where, system)
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            return tuple(self._build(item, where, system) for item in value)
        return plain(value)


def override(table, text):
    """Replace one value of a table: ``"base.dt=0.2"``, the value as TOML or else a word.

    Raises
    ------
    ValueError
        If the text is not of that form.
    """
    keys, equals, value = text.partition("=")
    path = [key.strip() for key in keys.split(".")]
    if not equals or not all(path):
        raise ValueError(f"--set {text}: expected KEY=VALUE, for instance base.dt=0.2")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for key in path[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ValueError(f"--set {text}: {key} is not a table")
    table[path[-1]] = parsed


def load_model(name):
    """An integrator from a fitted file, a TOML file, or the package.

    Parameters
    ----------
    name : str
        Path of a ``.toml`` file with an ``[integrator]``, of a file that
        :func:`~dlintegrate.save` wrote, or one of :func:`~dlintegrate.list_pretrained`.

    Raises
    ------
    FileNotFoundError
        If it is none of them.
    ValueError
        If the file does not hold an integrator.
    """
    if name.endswith(".toml"):
        return Configuration.read(name).integrator()
    if name in list_pretrained():
        return load_pretrained(name)
    if not os.path.exists(name):
        raise FileNotFoundError(
            f"model {name!r}: neither a file nor a pretrained integrator; "
            f"{choices(name, list_pretrained())}"
        )
    integrator = load(name)
    if not isinstance(integrator, Integrator):
        raise ValueError(f"{name} holds a {type(integrator).__name__}, not an integrator")
    return integrator


def _public_classes(kind=object):
    """Name to class, of all of one kind that users can make."""
    return {
        name: cls
        for name, cls in sorted(known_classes().items())
        if name in dlintegrate.__all__ and not inspect.isabstract(cls) and issubclass(cls, kind)
    }


def _parameters(function):
    return inspect.signature(function).parameters


def plain(value):
    """Lists as tuples: what the same text in Python would store, and so the same fingerprint."""
    if isinstance(value, list):
        return tuple(plain(item) for item in value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def _check_tables(table, where):
    """Raise a ValueError for a section that is something else."""
    examples = {
        "samples": ': [samples] with file = "samples.nc"',
        **{key: f' with a class: [{key}] with class = "{_EXAMPLES[key]}"' for key in _KINDS},
    }
    for key, example in examples.items():
        if not isinstance(table.get(key, {}), dict):
            raise ValueError(f"{where}: {key}={table[key]!r}: expected a table{example}")


def check_keys(keys, known, where):
    """Raise a ValueError for keys that are not among the known ones."""
    for key in keys:
        if key not in known:
            raise ValueError(f"{where} has no key {key!r}; {choices(key, known)}")


def check_complete(given, function, where):
    """Raise a ValueError for parameters without default that are not given."""
    missing = [
        key
        for key, parameter in _parameters(function).items()
        if parameter.default is parameter.empty and key not in given
    ]
    if missing:
        raise ValueError(f"{where} needs {', '.join(missing)}")


def choices(word, known):
    """What to say about a word that is not among the known ones."""
    close = get_close_matches(str(word), list(known), n=1)
    said = f"did you mean {close[0]!r}? Expected" if close else "expected"
    return f"{said} one of {', '.join(known)}"


@contextlib.contextmanager
def _naming(where):
    """Say in errors about a file where it was named."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    except OSError as error:
        raise FileNotFoundError(f"{where}: {error}") from None
