"""The package as users get it: light to import, typed, complete when built, citable."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from checkout import copy_checkout
from write_stub import STUB, stub_text

import dlintegrate

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = ("torch", "numba", "sklearn", "xarray", "matplotlib")


def python(*arguments, **options):
    """Run this Python in a process of its own; its standard output."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["dlintegrate", "dlintegrate.cli"])
def test_the_import_is_light_and_silent(module):
    """Well below the second that is promised, in seconds of the processor, interpreter included."""
    code = (
        f"import {module}, sys, time\n"
        f"print([name for name in {HEAVY} if name in sys.modules], time.process_time())"
    )
    loaded, seconds = python("-W", "error", "-c", code).rsplit(maxsplit=1)
    assert loaded == "[]"
    assert float(seconds) < 1.0


def test_help_loads_nothing_that_costs_time():
    code = (
        "import sys, dlintegrate.cli\n"
        "try: dlintegrate.cli.main(['simulate', '--help'])\n"
        f"except SystemExit: print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert python("-W", "error", "-c", code).endswith("[]\n")


def test_the_first_use_of_every_module_is_silent():
    """Of all warnings that Python shows by default to those who did not write the code."""
    shown = ("UserWarning", "RuntimeWarning", "FutureWarning", "SyntaxWarning")
    flags = [part for name in shown for part in ("-W", f"error::{name}")]
    uses = "; ".join(f"dlintegrate.{name}" for name in dlintegrate.__all__)
    python(*flags, "-c", f"import dlintegrate; {uses}")


class TestTypes:
    def test_the_stub_has_every_public_name(self):
        assert STUB.read_text() == stub_text(), "run python tests/write_stub.py"
        assert (STUB.parent / "py.typed").exists()

    @pytest.mark.slow
    def test_a_type_checker_is_content_with_the_package_and_with_its_users(self, tmp_path):
        pytest.importorskip("mypy")
        mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
        done = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        user = tmp_path / "user.py"
        user.write_text(
            "from dlintegrate import BlanesMoan4, HeisenbergLattice, load_pretrained\n"
            "from dlintegrate.metrics import one_step_error\n"
            "import dlintegrate\n"
            "reveal_type(HeisenbergLattice(shape=4))\n"
            "reveal_type(BlanesMoan4(dlintegrate.HeisenbergLattice(4), dt=0.1).simulate)\n"
            "reveal_type(dlintegrate.__version__)\n"
            "dlintegrate.HeisenbergLatice\n"
        )
        done = subprocess.run(
            [*mypy, "--config-file", ROOT / "pyproject.toml", user],
            cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True,
        )  # fmt: skip
        revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
        assert revealed[0].endswith("HeisenbergLattice") and revealed[1].startswith("def (")
        assert revealed[2].endswith("str")
        errors = [line for line in done.stdout.splitlines() if ": error: " in line]
        assert len(errors) == 1 and "HeisenbergLatice" in errors[0], done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Source distribution, and the wheel made from it, not from the checkout."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "checkout"
    copy_checkout(source)
    python("-m", "venv", folder / "venv")
    pip = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "pip"
    subprocess.run([pip, "install", "-q", "build"], check=True)
    subprocess.run(
        [pip.with_name("python"), "-m", "build", "--outdir", folder / "dist", source],
        check=True, capture_output=True,
    )  # fmt: skip
    (sdist,), (wheel,) = ((folder / "dist").glob(f"*{end}") for end in (".tar.gz", ".whl"))
    return source, sdist, wheel


@pytest.mark.slow
class TestBuilt:
    def test_the_source_distribution_has_what_its_tests_and_pages_need(self, built):
        source, sdist, _ = built
        with tarfile.open(sdist) as archive:
            inside = {name.partition("/")[2] for name in archive.getnames()}
        wanted = {
            path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()
        }
        assert wanted - inside <= {".gitignore"}

    def test_the_wheel_has_weights_types_licence_and_nothing_else(self, built):
        source, _, wheel = built
        inside = set(zipfile.ZipFile(wheel).namelist())
        package = {
            path.relative_to(source).as_posix()
            for path in (source / "dlintegrate").rglob("*")
            if path.is_file()
        }
        assert {"dlintegrate/py.typed", "dlintegrate/__init__.pyi"} <= package
        assert package <= inside
        assert all(".dist-info/" in name for name in inside - package)
        assert any(name.endswith("licenses/LICENSE") for name in inside)

    def test_the_wheel_works_where_it_is_installed(self, built, tmp_path):
        """From a folder that is no checkout, with the dependencies of this environment."""
        *_, wheel = built
        site = tmp_path / "site"
        zipfile.ZipFile(wheel).extractall(site)
        code = (
            "import dlintegrate\n"
            "for name in dlintegrate.list_pretrained(): dlintegrate.load_pretrained(name)\n"
            "print(dlintegrate.__file__)"
        )
        environment = {**os.environ, "PYTHONPATH": str(site)}
        assert python("-c", code, cwd=tmp_path, env=environment).startswith(str(site))
        listed = python("-m", "dlintegrate", "pretrained", cwd=tmp_path, env=environment)
        assert len(listed.splitlines()) == len(dlintegrate.list_pretrained())


class TestMetadata:
    def test_extras_are_those_that_the_documentation_names(self):
        page = (ROOT / "docs" / "installation.md").read_text()
        extras = set(PROJECT["optional-dependencies"])
        assert {"ase", "dask", "plot", "zarr", "docs", "test"} <= extras
        assert set(re.findall(r'^`pip install "dlintegrate\[(\w+)\]"`$', page, re.M)) == extras

    def test_every_python_that_is_named_is_allowed(self):
        named = [c.split(" :: ")[-1] for c in PROJECT["classifiers"] if ":: Python :: 3." in c]
        assert named == ["3.11", "3.12", "3.13", "3.14"]
        assert PROJECT["requires-python"] == f">={named[0]}"

    def test_the_citation_has_the_version_and_licence_of_the_package(self):
        text = (ROOT / "CITATION.cff").read_text()
        assert f"\nversion: {PROJECT['version']}\n" in text
        assert f"\nlicense: {PROJECT['license']}\n" in text
        assert PROJECT["version"] == dlintegrate.__version__

    def test_the_hooks_lint_with_the_version_of_the_gate(self):
        pinned = re.search(r"^ruff==\S+$", (ROOT / "constraints.txt").read_text(), re.M).group()
        used = re.findall(r"ruff==[\d.]+", (ROOT / ".pre-commit-config.yaml").read_text())
        assert used and set(used) == {pinned}
