"""Every command that README, pages, scripts and results print is run, or checked up to its cost.

``console`` blocks are run by ``test_docs.py``. Of ``bash`` blocks, those of an installed clone
run in one environment, which takes minutes, and the others here and now. Scripts that take
minutes to days are started with the printed arguments, and stopped when they have parsed them.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest
from checkout import copy_checkout

from dlintegrate.benchmark import case_names
from dlintegrate.cli import build_parser, main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if not {"gallery", "_build"} & set(path.relative_to(ROOT).parts)
]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

#: Printed, and neither run nor checked here: why not, and where it is.
ELSEWHERE = {
    ".venv/bin/sphinx-build -W docs docs/_build/html": "a stage of the gate, with the gallery",
    "bash .ci/run": "the gate itself",
    ".venv/bin/python benchmarks/bench_coverage.py": "the whole suite, traced",
    ".venv/bin/coverage report --skip-covered --show-missing": "of the line before",
    ".venv/bin/python benchmarks/mutants.py": "some hundred runs of tests",
    ".venv/bin/python -m pytest benchmarks/micro --benchmark-autosave": "minutes of timing",
    ".venv/bin/python -m pytest benchmarks/micro --benchmark-compare": "minutes of timing",
    ".venv/bin/python -m pytest benchmarks/micro -k sweeps --benchmark-compare "
    "--benchmark-compare-fail=min:10%": "needs the saved runs of the lines before",
}
#: What runs the code of fenced blocks; "text" shows files, which must not be commands.
TESTED_WITH_THE_PAGES = {"python", "toml", "console"}

Block = namedtuple("Block", "page number text")


def fenced(page):
    """Language and text of the fenced blocks of a page; directives have braces."""
    text = page.read_text() if page.exists() else ""
    return re.findall(r"^```([^\n`]*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def bash_blocks():
    return [
        Block(page.relative_to(ROOT).as_posix(), number, text)
        for page in PAGES
        for number, (language, text) in enumerate(fenced(page), start=1)
        if language == "bash"
    ]


def commands_of(block):
    """The commands of a block as lists of words."""
    lines = block.replace("\\\n", " ").splitlines()
    found = [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]
    return [words for words in found if words]


def of_a_script(words):
    return words[0] == "python" and words[1].startswith(("benchmarks/", "tests/"))


def in_environment(words):
    return words[:3] == ["python3", "-m", "venv"] or words[0].startswith(".venv/bin/")


def of_the_benchmark(words):
    """Minutes each; what the command does is tested with a case of seconds."""
    return words[:2] == ["dlintegrate", "benchmark"]


def runs_here(words):
    """What a folder needs for it, beside the package, stands on the same page."""
    return not of_the_benchmark(words) and (
        words[0] in ("dlintegrate", "mkdir", "torchrun")
        or (words[0] == "python" and "/" not in words[1])
    )


def chosen(*kinds):
    """The blocks whose commands are all of these kinds."""
    return [b for b in bash_blocks() if all(any(k(w) for k in kinds) for w in commands_of(b.text))]


def name_of(block):
    return f"{block.page}-{block.number}"


def test_every_block_is_run_or_checked():
    by_no_test = [
        (page.name, language, text)
        for page in PAGES
        for language, text in fenced(page)
        if language not in TESTED_WITH_THE_PAGES | {"bash", "text"} and not language.startswith("{")
    ]
    assert not by_no_test, "fenced blocks in a language that no test runs"
    kinds = (of_a_script, in_environment, of_the_benchmark, runs_here)
    handled = [block for kind in kinds for block in chosen(kind)]
    assert sorted(handled) == sorted(bash_blocks()), "commands of a kind that no test runs"
    shown = [text for page in PAGES for language, text in fenced(page) if language == "text"]
    hidden = r"^\$? ?(dlintegrate|pip|python3?|torchrun|bash|pytest|\.venv/\S+) "
    assert not [text for text in shown if re.search(hidden, text, flags=re.MULTILINE)]


def test_benchmark_commands_are_understood_and_their_systems_exist():
    printed = [words for block in chosen(of_the_benchmark) for words in commands_of(block.text)]
    assert printed
    for words in printed:
        options = build_parser().parse_args(words[1:])
        assert options.system in case_names(), words
    with pytest.raises(SystemExit):
        build_parser().parse_args(["benchmark", "heisenberg", "--seed-of", "0"])


def test_what_is_tested_elsewhere_is_still_printed():
    printed = "\n".join(page.read_text() for page in PAGES)
    assert not [command for command in ELSEWHERE if command not in printed]


def test_the_gate_builds_the_documentation_with_the_same_tools():
    gate = (ROOT / ".ci" / "run").read_text()
    assert 'pip" install -q -c constraints.txt -e ".[docs]"' in gate
    assert re.search(r'sphinx-build" -q -W --keep-going docs "\$work', gate)


def programs(folder):
    """Names that the pages use for this Python and its commands, in a folder for the PATH."""
    modules = {
        "python": "",
        "dlintegrate": "-m dlintegrate",
        "torchrun": "-m torch.distributed.run",
    }
    folder.mkdir()
    for name, module in modules.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        script.chmod(0o755)
    return folder


def cost(block):
    """New processes that import torch take a while."""
    return [pytest.mark.slow] if re.search("^(torchrun|python) ", block.text, re.M) else []


@pytest.mark.parametrize(
    "block", [pytest.param(b, marks=cost(b), id=name_of(b)) for b in chosen(runs_here)]
)
def test_the_commands_of_a_page_run(block, tmp_path):
    """In a folder with the files that the page names in the first line of its code."""
    if "completion" in block.text:
        pytest.importorskip("shtab")
    if "labels.py" in block.text:
        pytest.importorskip("distributed")
    for language, text in fenced(ROOT / block.page):
        name = re.match(r"# (\S+\.py)\n", text)
        if language == "python" and name:
            (tmp_path / name.group(1)).write_text(text)
    environment = {
        **os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1",
        "PATH": f"{programs(tmp_path / 'bin')}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-e", "-c", block.text],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def usages(path):
    """The commands in the docstring of a script; what stands in brackets may be added."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    lines = re.findall(r"^ +(python \S+\.py.*)$", docstring, flags=re.MULTILINE)
    return [shlex.split(re.sub(r"[][]", "", line), comments=True) for line in lines]


def recorded(path):
    """The command of a result or a card: the pages print it under each table."""
    content = json.loads(path.read_text())
    return shlex.split((content.get("metadata") or content["provenance"])["command"])


def script_commands():
    """Where it stands, and the command."""
    for block in bash_blocks():
        yield from ((name_of(block), words) for words in commands_of(block.text))
    yield from ((page, shlex.split(code)) for page, code in inline_commands())
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        yield from ((path.name, words) for words in usages(path))
    weights = ROOT / "dlintegrate" / "datasets" / "weights"
    for folder in (ROOT / "benchmarks" / "results", weights):
        yield from ((path.name, recorded(path)) for path in sorted(folder.glob("*.json")))


NOT_UNDERSTOOD = {
    "python benchmarks/train_unet.py --size 8 --output x --widht 8": "arguments: --widht 8",
    "python benchmarks/bench_residue.py --quick": "takes no arguments",
    "python benchmarks/bench_everything.py": "no such file",
}


@pytest.fixture(scope="module")
def complaints():
    """What each script says against the arguments of a command, or None."""
    printed = [(where, shlex.join(c)) for where, c in script_commands() if of_a_script(c)]
    commands = sorted({command for _, command in printed} | set(NOT_UNDERSTOOD))
    words = [shlex.split(command) for command in commands]
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "parse_commands.py"],
        input=json.dumps([[script, arguments] for _, script, *arguments in words]),
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return printed, dict(zip(commands, json.loads(done.stdout), strict=True))


def test_scripts_understand_the_arguments_that_are_printed_for_them(complaints):
    printed, said = complaints
    assert len(printed) > 50
    wrong = [(where, command) for where, command in printed if said[command] is not None]
    assert not wrong, [said[command] for _, command in wrong]


@pytest.mark.parametrize("command", NOT_UNDERSTOOD)
def test_arguments_that_do_not_exist_are_noticed(complaints, command):
    assert NOT_UNDERSTOOD[command] in complaints[1][command]


def inline_commands():
    """Code within sentences that begins with the name of a program."""
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose):
            if re.match(
                r"(dlintegrate|pip|python3?|bash|pytest|torchrun|sphinx-build)\b(?![.=])", code
            ):
                yield page.name, " ".join(code.split())


def test_commands_in_sentences_exist():
    """Subcommands of dlintegrate, extras of the package; scripts see above."""
    for page, code in inline_commands():
        words = shlex.split(code)
        if code in ELSEWHERE or len(words) == 1:
            continue
        if words[0] == "dlintegrate":
            for name in re.findall(r"(?:^dlintegrate|\|) ([a-z]+)", code):
                with pytest.raises(SystemExit) as ended:
                    main([name, "--help"])
                assert ended.value.code == 0, f"{page}: {code}"
        elif words[:2] == ["pip", "install"]:
            asked = re.fullmatch(r"dlintegrate\[(\w+)\]", words[2])
            assert len(words) == 3 and asked and asked.group(1) in EXTRAS, f"{page}: {code}"
        else:
            assert of_a_script(words), f"{page}: {code}"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What git would give to a new user, with the changes that are not committed yet."""
    folder = tmp_path_factory.mktemp("clone")
    copy_checkout(folder)
    return folder


@pytest.mark.slow
def test_the_commands_of_an_installed_clone_run(clone):
    """All in one environment, from nothing; of the test suite, one file."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1", "MPLBACKEND": "agg",
        "PYTEST_ADDOPTS": "-n 0 tests/test_configuration.py",
    }  # fmt: skip
    done = set()
    for block in chosen(in_environment):
        for line in block.text.splitlines():
            commands = {shlex.join(words) for words in commands_of(line)}
            if commands <= done or commands & set(ELSEWHERE):
                continue
            done |= commands
            ran = subprocess.run(
                ["bash", "-c", line], cwd=clone, env=environment, capture_output=True, text=True
            )
            assert ran.returncode == 0, f"{name_of(block)}: {line}\n{ran.stdout}{ran.stderr}"
    assert {".venv/bin/dlintegrate demo", ".venv/bin/pytest"} <= done
