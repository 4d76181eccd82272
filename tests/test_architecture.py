"""The floors of docs/development/architecture.md: files import from their own and those below."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dlintegrate"
TABLE = (ROOT / "docs" / "development" / "architecture.md").read_text()
#: Stand above all floors: the page of names, and what runs it as a program.
ABOVE = {"__init__", "__main__"}


def floors():
    """Top-level file or folder to the number of its floor, as the page has them."""
    result = {}
    for number, names in re.findall(r"^\| (\d) \| (.+?) \|", TABLE, flags=re.MULTILINE):
        for name in re.findall(r"`([\w/]+)(?:\.py)?`", names):
            result[name.rstrip("/").removesuffix(".py")] = int(number)
    return result


FLOORS = floors()


def part_of(path):
    """The top-level file or folder that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path):
    """Top-level parts of the package that a file imports when it is imported itself."""
    depth = len(path.relative_to(PACKAGE).parts)
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.split(".")[0] for name in names)


FILES = sorted(p for p in PACKAGE.rglob("*.py") if part_of(p) not in ABOVE)


def test_every_part_of_the_package_has_a_floor():
    assert {part_of(path) for path in FILES} == set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_its_floor_and_those_below(path):
    own = FLOORS[part_of(path)]
    known = {name: FLOORS[name] for name in imported_parts(path) if name in FLOORS}
    assert {name for name, floor in known.items() if floor > own} == set()
