"""The command line: the demo's files and table, help, errors in one line."""

import pytest
import xarray as xr

from dlintegrate import load
from dlintegrate.cli import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The quick demo, run once; returns its folder and what it printed."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("demo") / "results"
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()),
    ):
        assert main(["demo", "--quick", "--seed", "1", "--output", str(folder)]) == 0
    return folder, out.getvalue()


def test_the_demo_writes_what_it_promises(demo):
    folder, printed = demo
    assert {p.name for p in folder.iterdir()} == {
        "trajectory.nc", "demo.png", "corrected.safetensors",
    }  # fmt: skip
    assert all(name in printed for name in ("trajectory.nc", "demo.png", "corrected.safetensors"))
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    with xr.open_dataset(folder / "trajectory.nc") as trajectory:
        assert (trajectory.temperature == 1.44).all() and (trajectory.status == 0).all()
        states = trajectory.spin.isel(time=0)
        corrected = load(folder / "corrected.safetensors")
        again = corrected.simulate(states, 1.0, save_every=2)
        assert (again.spin.values == trajectory.spin[:6].transpose("sample", ...).values).all()


def test_the_table_shows_what_physics_demands(demo):
    """Corrections beat their base; every energy is at rounding; classical rivals are listed."""
    lines = demo[1].splitlines()
    rows = {line[:24].strip(): line[24:].split() for line in lines if "e-" in line}
    assert len(rows) == 6 and sum("Blanes-Moan" in name for name in rows) == 2

    def first(name):
        return float(" ".join(rows[name]).replace(">", "").split()[0])

    bare = first("ST2, dt 0.1 (bare)")
    assert first("ridge on trees") > 1.5 * bare
    assert first("learned composition") > 1.5 * bare
    assert all(float(row[-3]) < 1e-12 for row in rows.values()), "energy per site"


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["--version"]])
def test_help_and_version(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "dlintegrate" in out
    if arguments == ["demo", "--help"]:
        assert all(option in out for option in ("--output", "--seed", "--quick"))


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["demo", "--seed", "-1"]])
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_error_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--quick", "--output", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("dlintegrate: error: ")
