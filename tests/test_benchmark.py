"""The benchmark harness: fronts, break-even times, explosions, and a whole small run."""

import contextlib
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from sklearn.base import clone

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    LennardJones2D,
    SublatticeComposition,
    SuzukiTrotter2,
    VelocityVerlet,
    benchmark,
)
from dlintegrate.benchmark import (
    Case,
    External,
    Learned,
    Method,
    case_names,
    fit_corrected,
    make_case,
    measure,
    run_benchmark,
)
from dlintegrate.benchmark.figure import draw_benchmark
from dlintegrate.benchmark.measure import Clock, errors, long_run, reversal_error, with_output
from dlintegrate.benchmark.pareto import (
    NEVER,
    UNRIVALLED,
    break_even,
    compare,
    cost_at,
    pareto_front,
    verdict,
)
from dlintegrate.benchmark.report import write_benchmark
from dlintegrate.cli import main

SYSTEM = HeisenbergLattice(4)
SMALL, LARGE = "4³", "6³"


def point(method, error, cost, dt=0.1, kind="classical", seconds=0.0):
    return {
        "method": method, "kind": kind, "dt": dt, "error": error, "cost": {"many": cost},
        "label_seconds": 0.25 * seconds, "training_seconds": 0.75 * seconds,
    }  # fmt: skip


def spins(side, n, seed):
    return HeisenbergLattice(side).random_states(n, seed, order=2.0)


def tiny(**changes):
    """Two classical methods and a ridge regression on 4³."""

    def states(side, n, seed):
        dims = ("sample", "x", "y", "z", "component")
        return xr.DataArray(spins(side, n, seed), dims=dims, name="spin")

    def fit(dt, train, seed):
        small = HeisenbergLattice(4)
        return fit_corrected(
            CorrectedIntegrator(
                SuzukiTrotter2(small, dt), ElementaryDifferentialResidue(3),
                reference=BlanesMoan4(small, dt / 5), n_jobs=1,
            ),
            train, seed,
        )  # fmt: skip

    case = Case(
        name="tiny", title="a test", horizon=0.4,
        methods=(
            Method("ST2", (0.2, 0.1, 0.05), lambda dt: SuzukiTrotter2(SYSTEM, dt)),
            Method("BM4", (0.4, 0.2), lambda dt: BlanesMoan4(SYSTEM, dt)),
            Learned("residue", (0.1,), fit),
        ),
        train=lambda seed: states(4, 8, 50 + seed),
        test=lambda seed: {SMALL: states(4, 3, seed), LARGE: states(6, 1, seed)},
        reference=lambda dt: BlanesMoan4(SYSTEM, dt / 40),
        predictions={"at rest": lambda system, array, horizon: array.copy()},
        reverse=lambda array: -array,
        long_time=2.0, run_seconds=0.01, cost_seconds=0.001,
    )  # fmt: skip
    return replace(case, **changes)


@pytest.fixture(scope="module")
def results():
    return run_benchmark(tiny(), seeds=(0, 1), say=lambda line: None)


# Fronts, equal errors, break-even -------------------------------------------------------------


def test_the_front_holds_the_points_that_none_beats():
    cheap, good, beaten = point("a", 1e-1, 1.0), point("b", 1e-3, 4.0), point("c", 1e-2, 5.0)
    exploded = point("d", math.inf, 0.1)
    assert pareto_front([beaten, good, exploded, cheap], "many") == [cheap, good]


def test_of_two_points_of_equal_cost_the_front_keeps_the_better():
    assert pareto_front([point("a", 0.2, 1.0), point("b", 0.1, 1.0)], "many")[0]["method"] == "b"


def test_between_two_steps_the_cost_follows_the_order_of_the_method():
    """Second order: a hundredth of the error for ten times the cost."""
    curve = [point("ST2", 1e-2, 1.0, dt=0.1), point("ST2", 1e-4, 10.0, dt=0.01)]
    assert cost_at(curve, 1e-3, "many") == (pytest.approx(math.sqrt(10.0)), "ST2")
    assert cost_at(curve, 1e-1, "many")[0] == 1.0, "a method that is better than asked serves too"
    assert cost_at(curve, 1e-5, "many") is None


def test_no_cost_is_interpolated_between_two_methods():
    two = [point("a", 1e-2, 1.0), point("b", 1e-4, 10.0)]
    assert cost_at(two, 1e-3, "many") == (10.0, "b")


def test_between_members_of_a_family_the_cost_is_interpolated():
    two = [point("20 moments", 1e-2, 1.0), point("28 moments", 1e-4, 100.0)]
    family = [{**p, "family": "series"} for p in two]
    cost, name = cost_at(family, 1e-3, "many")
    assert cost == pytest.approx(10.0) and name == "20 moments to 28 moments"
    assert cost_at(two, 1e-3, "many") == (100.0, "28 moments")
    other = [family[0], {**family[1], "dt": 2 * family[1]["dt"]}]
    assert cost_at(other, 1e-3, "many") == (100.0, "28 moments"), "of another step"


def test_a_processor_is_charged_to_the_run_whose_output_it_makes():
    plain = SublatticeComposition(SYSTEM, 0.1, [0.5, 1.0, 0.5])
    processed = clone(plain).set_params(processor=[0.1, 0.2, -0.1, -0.2])
    assert with_output(3.0, plain, 5) == 3.0
    assert with_output(3.0, processed, 5) == pytest.approx(3.0 * (5 * 2 + 8) / (5 * 2))


def test_learning_has_paid_when_the_saved_time_is_the_spent_one():
    """100 s of learning, 3 µs saved per site and unit of time."""
    assert break_even(100.0, 2e-6, 5e-6) == pytest.approx(100.0 / 3e-6)
    assert break_even(100.0, 5e-6, 5e-6) == NEVER


def test_a_learned_point_is_compared_at_its_own_error():
    points = [
        point("ST2", 1e-2, 1.0), point("BM4", 1e-4, 6.0), point("null", 1e-3, 5.0, kind="null"),
        point("better", 1e-3, 2.0, kind="learned", seconds=30.0),
        point("worse", 1e-4, 7.0, kind="learned", seconds=30.0),
        point("best", 1e-6, 7.0, kind="learned", seconds=30.0),
    ]  # fmt: skip
    better, worse, best = compare(points, "many")
    assert (better["rival"], better["break_even"]) == ("null", pytest.approx(30.0 / 3.0))
    assert (worse["rival"], worse["break_even"]) == ("BM4", NEVER)
    assert (best["rival"], best["break_even"]) == (None, UNRIVALLED)


def test_the_verdict_names_the_winner():
    classical, learned = point("BM4", 1e-4, 6.0), point("learned", 1e-4, 3.0, kind="learned")
    text = verdict(compare([classical, learned], "many"))
    assert text.startswith("learning wins at an error of 0.0001, learned")
    assert "2 times cheaper than BM4" in text
    slow = {**learned, "cost": {"many": 9.0}}
    text = verdict(compare([classical, slow], "many"))
    assert text.startswith("the classical method wins here") and "costs 1.5 times" in text


# One integrator -------------------------------------------------------------------------------


def test_a_failed_sample_makes_the_error_infinite_and_is_counted():
    states = spins(4, 3, 0)
    after = states.copy()
    after[1] = np.nan
    found = errors(SYSTEM, after, states)
    assert found == {"error": math.inf, "median": 0.0, "n_failed": 1}


def test_a_reversible_step_leads_back_and_another_does_not():
    states = spins(4, 2, 1)

    def turned(array):
        return -array

    assert reversal_error(SuzukiTrotter2(SYSTEM, 0.1), states, 1.0, turned) < 1e-13
    integrator = CorrectedIntegrator(
        SuzukiTrotter2(SYSTEM, 0.1), ElementaryDifferentialResidue(3), n_jobs=1
    ).fit(spins(4, 6, 2))
    assert reversal_error(integrator, states, 1.0, turned) > 1e-9


def test_explosions_are_counted_and_the_rest_goes_on():
    """One sample with a hard collision at a step far too long, beside one without forces."""
    system = LennardJones2D(2, density=0.002)
    states = np.zeros((2, 2, 2, 2))
    states[:, 0, 1, 0] = (10.0, 1.5)
    states[1, 1, :, 0] = (3.0, -3.0)
    dims = ("sample", "variable", "particle", "component")
    samples = xr.DataArray(states, dims=dims, name="phase_space")
    run = long_run(VelocityVerlet(system, 0.2), samples, 4.0, 0.1, seconds=1.0, cost=1e-6)
    assert (run["n_samples"], run["n_exploded"]) == (2, 1)
    assert run["largest_energy_change"] < 1e-3


def test_what_is_slow_gets_fewer_samples_and_then_less_time():
    samples = tiny().test(0)[SMALL]
    step = SuzukiTrotter2(SYSTEM, 0.1)
    few = long_run(step, samples, 10.0, 0.1, seconds=2 * 64 * 10.0, cost=1.0)
    short = long_run(step, samples, 10.0, 0.1, seconds=64 * 5.0, cost=1.0)
    assert (few["n_samples"], few["t_max"]) == (2, pytest.approx(10.0))
    assert (short["n_samples"], short["t_max"]) == (1, pytest.approx(5.0))


def test_a_clock_gives_the_least_cost_per_site_and_time(monkeypatch):
    """Steps that take 1 ms, but 3 ms in one busy moment; two samples of 64 sites."""
    now = {"time": 0.0, "step": 1e-3}
    monkeypatch.setattr(measure.time, "process_time", lambda: now["time"])

    class Timed(SuzukiTrotter2):
        def advance(self, array, n_steps):
            now["time"] += n_steps * now["step"]
            return array

    clock = Clock(Timed(SYSTEM, 0.1), spins(4, 2, 0), seconds=0.05)
    now["step"] = 3e-3
    clock()
    assert clock.best == pytest.approx(1e-3 / (0.1 * 2 * 64))


# A whole run ----------------------------------------------------------------------------------


def rows_of(results, name):
    return [p for p in results["points"] if p["method"] == name]


def test_every_method_and_step_makes_a_point(results):
    assert [(p["method"], p["dt"]) for p in results["points"]] == [
        ("ST2", 0.2), ("ST2", 0.1), ("ST2", 0.05), ("BM4", 0.4), ("BM4", 0.2), ("residue", 0.1),
    ]  # fmt: skip


def test_errors_fall_with_the_order_of_the_method(results):
    st2, bm4 = ([p["error"] for p in rows_of(results, name)] for name in ("ST2", "BM4"))
    assert st2[1] / st2[2] == pytest.approx(4.0, rel=0.1)
    assert bm4[0] / bm4[1] == pytest.approx(16.0, rel=0.4)


def test_the_reference_is_converged(results):
    reference = results["reference"]
    assert reference["converged"]
    assert reference["change_when_halved"] < 1e-3 * reference["smallest_error"]


def test_a_coarse_reference_is_told():
    case = tiny(
        reference=lambda dt: BlanesMoan4(SYSTEM, dt), methods=tiny().methods[1:2], predictions={}
    )
    with pytest.warns(RuntimeWarning, match="finer reference"):
        run_benchmark(case, [0], say=lambda line: None)


def test_the_learned_method_beats_its_base_and_pays_for_its_labels(results):
    (learned,) = rows_of(results, "residue")
    base = rows_of(results, "ST2")[1]
    assert learned["error"] < 0.2 * base["error"]
    assert learned["label_seconds"] > 0 and learned["training_seconds"] > 0
    assert len(learned["error_of_seeds"]) == 2 and learned["error_spread"] > 0


def test_nothing_that_moves_is_worse_than_rest(results):
    rest = results["predictions"]["at rest"]["error"]
    assert all(p["error"] < rest for p in results["points"])


def test_transfer_is_measured_on_the_other_states_at_their_own_cost(results):
    (row,) = results["transfer"]
    assert (row["states"], row["method"]) == (LARGE, "residue")
    (learned,) = rows_of(results, "residue")
    assert row["cost"] == learned["cost"][LARGE] and row["error"] == learned["transfer"][LARGE]


def test_the_energy_is_kept_by_rotations(results):
    assert all(p["energy_drift"] < 1e-12 for p in rows_of(results, "ST2"))
    assert all(p["long_n_exploded"] == 0 for p in results["points"])


def test_a_method_that_fails_takes_no_other_along():
    """A step that turns one sample into NaN, beside one that works."""

    class Breaks(SuzukiTrotter2):
        def advance(self, array, n_steps):
            result = super().advance(array, n_steps)
            result[:1] = np.nan
            return result

    methods = (Method("breaks", (0.1,), lambda dt: Breaks(SYSTEM, dt)), tiny().methods[0])
    found = run_benchmark(tiny(methods=methods), [0], say=lambda line: None)
    (broken,) = rows_of(found, "breaks")
    assert broken["n_failed"] == 1 and broken["long_n_exploded"] >= 1
    assert math.isinf(broken["error"]) and math.isfinite(broken["error_median"])
    assert all(math.isfinite(p["error"]) for p in rows_of(found, "ST2"))
    assert "breaks" not in [p["method"] for p in found["front"]["many"]]


def test_another_program_stands_beside():
    def run(states, dt, n_steps):
        if states.sizes["x"] != 4:
            return None
        return SuzukiTrotter2(SYSTEM, dt).step(states, n_steps), 64e-6

    found = run_benchmark(
        tiny(methods=(*tiny().methods[:1], External("other", (0.1,), run))), [0],
        say=lambda line: None,
    )  # fmt: skip
    (other,), ours = rows_of(found, "other"), rows_of(found, "ST2")[1]
    assert other["error"] == pytest.approx(ours["error"], rel=1e-12)
    assert other["cost"]["many"] == pytest.approx(64e-6 / (3 * 64 * 0.4))
    assert LARGE not in other["transfer"]


def test_a_step_that_does_not_fit_into_the_horizon_is_refused():
    method = Method("ST2", (0.3,), lambda dt: SuzukiTrotter2(SYSTEM, dt))
    with pytest.raises(ValueError, match=r"dt=0\.3 does not divide horizon=0\.4"):
        run_benchmark(tiny(methods=(method,)), [0])


@pytest.mark.parametrize("name", case_names())
def test_every_step_of_a_shipped_case_divides_its_horizon(name):
    for full in (False, True):
        case = make_case(name, full)
        steps = np.array([dt for method in case.methods for dt in method.dts])
        ratio = case.horizon / steps
        assert np.allclose(ratio, ratio.round(), rtol=1e-9)
        assert {"classical", "learned"} <= {method.kind for method in case.methods}


def test_an_unknown_system_is_refused():
    with pytest.raises(ValueError, match=r"system='ising': expected one of \['heisenberg'"):
        make_case("ising")


# The command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What the command writes and prints for a tiny system."""
    folder = tmp_path_factory.mktemp("benchmark") / "out"
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(benchmark, "make_case", lambda name, full: tiny(title=f"{name}, {full}"))
        assert main(["benchmark", "tiny", "--seeds", "1", "--output", str(folder)]) == 0
    return folder, out.getvalue()


def test_the_command_writes_results_and_picture(written):
    folder, printed = written
    assert {p.name for p in folder.iterdir()} == {"pareto_tiny.json", "pareto_tiny.png"}
    assert all(str(path) in printed for path in folder.iterdir())
    assert (folder / "pareto_tiny.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads((folder / "pareto_tiny.json").read_text())
    assert content["metadata"]["command"] == "dlintegrate benchmark tiny --seeds 1"
    assert content["metadata"]["processor"] and content["metadata"]["packages"]["numpy"]
    assert content["results"]["case"]["seeds"] == [1]
    assert len(content["results"]["points"]) == 6


def test_a_folder_that_cannot_be_is_told_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    def measure(*arguments, **options):
        raise AssertionError("minutes of work for nothing")

    monkeypatch.setattr(benchmark, "make_case", lambda name, full: tiny())
    monkeypatch.setattr(benchmark, "run_benchmark", measure)
    (tmp_path / "file").write_text("precious")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main(["benchmark", "tiny", "--output", str(folder)]) == 2
        assert str(folder) in capsys.readouterr().err

    def refuse(*arguments, **options):
        raise PermissionError("out: permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert main(["benchmark", "tiny", "--output", str(tmp_path / "out")]) == 2
    assert "permission denied" in capsys.readouterr().err


def test_a_system_without_a_load_average_measures_too(results, tmp_path, monkeypatch):
    monkeypatch.delattr("os.getloadavg")
    file, _ = write_benchmark(results, tmp_path, command="", started=0.0)
    assert json.loads(file.read_text())["metadata"]["load_average"] == []


def test_a_picture_that_cannot_be_written_leaves_the_former_one(results, tmp_path, monkeypatch):
    def full(self, file, **options):
        Path(file).write_bytes(b"half")
        raise OSError("No space left on device")

    (tmp_path / "a.png").write_text("precious")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(OSError, match="No space"):
        draw_benchmark(results, tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_text() == "precious"
    plt.close("all")


def test_the_table_has_every_point_and_a_verdict_for_each_batch(written):
    results = json.loads((written[0] / "pareto_tiny.json").read_text())["results"]
    lines = written[1].splitlines()
    assert "tiny, False" in lines
    for p in results["points"]:
        (row,) = (r for r in lines if r[2:].split()[:2] == [p["method"], f"{p['dt']:.4g}"])
        front = [(q["method"], q["dt"]) for q in results["front"]["many"]]
        assert row.startswith("*") == ((p["method"], p["dt"]) in front)
    for batch, text in results["verdict"].items():
        start = "one state at a time" if batch == "one" else "3 states at once"
        assert f"{start}: {text}" in lines


def test_a_picture_is_drawn_from_its_json_alone(written, tmp_path):
    """Twice the same bytes: it goes into the repository."""
    results = json.loads((written[0] / "pareto_tiny.json").read_text())["results"]
    for name in ("a.svg", "b.svg"):
        draw_benchmark(results, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_learned_methods_stand_out_and_null_models_are_dashed(results):
    figure = draw_benchmark(results)
    for ax in figure.axes:
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert lines["residue"].get_linewidth() > lines["ST2"].get_linewidth()
        assert lines["residue"].get_markersize() > lines["ST2"].get_markersize()
        red, green, blue = to_rgb(lines["ST2"].get_color())
        assert red == green == blue, "classical methods are grey"
        assert lines["at rest"].get_linestyle() == "--"
        assert "Pareto front" in lines
    plt.close(figure)


def test_bad_input_of_the_command_is_told_in_one_line(capsys):
    assert main(["benchmark", "ising"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("dlintegrate: error: system='ising'") and err.count("\n") == 1
