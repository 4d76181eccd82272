"""What the README and the guide promise: their commands have the agreed form, their code runs."""

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from dlintegrate.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else ""
PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if re.search(r"^```(python|toml|console)\n", path.read_text(), flags=re.MULTILINE)
]

DEMO = (
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt . "
    "&& .venv/bin/dlintegrate demo"
)
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt "
    '-e ".[test]" && .venv/bin/pytest'
)


def code_blocks(text, language="python"):
    """The fenced blocks of one language in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command", [DEMO, TEST])
def test_each_command_of_the_readme_stands_there_once_on_one_line(command):
    assert README.splitlines().count(command) == 1


def test_the_gate_finds_the_same_test_command_that_the_readme_shows():
    pattern = re.search(r"grep -E '([^']+)' README\.md", (ROOT / ".ci" / "run").read_text())
    assert pattern, ".ci/run no longer reads its command from README.md"
    found = [line for line in README.splitlines() if re.search(pattern.group(1), line)]
    assert found == [TEST]


def test_the_readme_example_has_at_most_fifteen_lines():
    example, *_ = code_blocks(README)
    assert len([line for line in example.splitlines() if line.strip()]) <= 15


def test_the_readme_examples_run_and_their_corrections_pay(capsys):
    for example in code_blocks(README):
        exec(compile(example, "README.md", "exec"), {})
    first, second, third = capsys.readouterr().out.split("\n")[:3]
    bare, corrected = map(float, first.split())
    assert corrected < bare / 30
    assert float(second) < 1e-11
    assert float(third) < 1e-11


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch, capsys):
    """Python blocks run, TOML blocks and scripts are written to the file they name, commands run.

    What runs the scripts is in ``test_printed_commands.py``.
    """
    monkeypatch.chdir(tmp_path)
    namespace = {}
    blocks = re.findall(
        r"^```(python|toml|console)\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    for number, (language, block) in enumerate(blocks, start=1):
        script = re.match(r"# (\S+\.py)\n", block)
        if language == "python" and script:
            Path(script.group(1)).write_text(block)
        elif language == "python":
            try:
                exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)
            except ImportError as error:
                if 'pip install "dlintegrate[' not in str(error):
                    raise
                pytest.skip(f"block {number} and what follows: {error}")
        elif language == "toml":
            name = re.match(r"# (\S+\.toml)\n", block)
            assert name, f"{page.name}, block {number}: begin it with the name of the file"
            Path(name.group(1)).write_text(block)
        else:
            run_console(block, capsys)


def run_console(block, capsys):
    """Run the lines after ``$``, which are dlintegrate's; lines below have to be its output."""
    joined = block.replace("\\\n", "")
    for command in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        line, *expected = command.splitlines()
        program, *arguments = shlex.split(line)
        assert program == "dlintegrate", line
        capsys.readouterr()
        assert main(arguments) == 0, f"{line}: {capsys.readouterr().err}"
        printed = capsys.readouterr().out.splitlines()
        assert printed[: len(expected)] == expected, line


@pytest.mark.parametrize("kind", ["System", "Integrator", "ResidueCorrector"])
def test_what_is_of_ones_own_is_short_and_checked(kind):
    """A class of each kind on the page about extending, in 40 lines at most."""
    blocks = code_blocks((ROOT / "docs" / "guide" / "extending.md").read_text())
    classes = [
        (node, block)
        for block in blocks
        for node in ast.parse(block).body
        if isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == [kind]
    ]
    assert classes
    for node, block in classes:
        lines = block.splitlines()[node.lineno - 1 : node.end_lineno]
        assert len([line for line in lines if line.strip()]) <= 40
        assert "\ncheck_integrator(" in block


@pytest.mark.parametrize("module", ["dlintegrate", "dlintegrate.metrics", "dlintegrate.sampling"])
def test_every_public_name_is_in_the_reference(module):
    listed = (ROOT / "docs" / "api" / "index.rst").read_text().split()
    public = import_module(module)
    names = [n for n in public.__all__ if not isinstance(getattr(public, n), ModuleType)]
    assert set(names) <= set(listed)


@pytest.mark.parametrize(
    ("path", "shown"),
    [("cost/16", "second"), ("cases/iron", "third"), ("transfer/states", "first"), ("", "first")],
)
def test_a_table_says_which_run_made_its_part(path, shown, monkeypatch):
    """A part that was measured anew has a run of its own, all others that of the file."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    results = import_module("results")
    table = object.__new__(results.Results)
    table.options = {"path": path} if path else {}
    content = {
        "metadata": {"command": "first"},
        "results": {"measured": {"cost": {"command": "second"}, "iron": {"command": "third"}}},
    }
    assert table.origin(content)["command"] == shown


def test_the_version_has_an_entry_in_the_changelog():
    import dlintegrate

    assert f"## {dlintegrate.__version__}" in (ROOT / "CHANGELOG.md").read_text()
