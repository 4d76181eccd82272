"""``dlintegrate evaluate``: errors, drifts and threshold times, as a table or as JSON."""

import json

from .options import add_progress, check_output, file_argument, number, say
from .simulate import MODEL_HELP


def add_to(commands):
    """Add the command."""
    evaluate = commands.add_parser(
        "evaluate",
        help="one-step error, energy drift and threshold time of integrators or a trajectory",
        description="Measure an integrator on samples that it was not fitted on: the error of "
        "one step and, with --t-max, drifts of conserved quantities and the time for which it "
        "follows a converged reference. Or measure a trajectory against another one.",
    )
    file_argument(
        evaluate,
        "model",
        metavar="MODEL",
        help=f"{MODEL_HELP}; or a trajectory, without SAMPLES.nc",
    )
    file_argument(
        evaluate, "samples", metavar="SAMPLES.nc", nargs="?",
        help="states as `dlintegrate sample` writes them",
    )  # fmt: skip
    evaluate.add_argument(
        "--against", action="append", default=[], metavar="MODEL",
        help="another integrator in the same table; may be repeated",
    )  # fmt: skip
    evaluate.add_argument(
        "--reference", metavar="MODEL",
        help="the reference, in place of a converged integrator; for a trajectory, another one",
    )  # fmt: skip
    evaluate.add_argument("--t-max", type=number, metavar="T", help="simulate to this time")
    evaluate.add_argument(
        "--save-time", type=number, metavar="T",
        help="time between two frames, a multiple of all steps (default: t_max/100)",
    )  # fmt: skip
    evaluate.add_argument("--json", action="store_true", help="JSON instead of a table")
    evaluate.add_argument("-o", "--output", metavar="FILE", help="write it there, as JSON")
    evaluate.add_argument("--overwrite", action="store_true", help="replace that file if it exists")
    add_progress(evaluate)
    evaluate.set_defaults(run=_run)


def _run(arguments):
    from ..evaluation import format_rows, plain
    from ..persistence import replacing

    if arguments.output is not None:
        check_output(arguments)
    reports = _of_trajectory(arguments) if arguments.samples is None else _of_models(arguments)
    text = json.dumps(plain({"reports": reports}), indent=2)
    if arguments.json:
        say(text)
    else:
        for line in format_rows(reports):
            say(line)
    if arguments.output is not None:
        with replacing(arguments.output) as temporary, open(temporary, "w") as file:
            file.write(text + "\n")


def _of_trajectory(arguments):
    from ..evaluation import evaluate_trajectory
    from ..state_files import open_states

    for name in ("t_max", "save_time", "against"):
        if getattr(arguments, name):
            raise ValueError(
                f"--{name.replace('_', '-')}: {arguments.model} is to be a trajectory; give "
                "SAMPLES.nc to evaluate an integrator"
            )
    with open_states(arguments.model) as run:
        if "time" not in run.dims:
            raise ValueError(f"{arguments.model} has no times; give a trajectory, or SAMPLES.nc")
        if arguments.reference is None:
            return {arguments.model: evaluate_trajectory(run)}
        with open_states(arguments.reference) as reference:
            return {arguments.model: evaluate_trajectory(run, reference)}


def _of_models(arguments):
    from tqdm.auto import tqdm

    from ..configuration import load_model
    from ..evaluation import evaluate_integrator, simulate_reference
    from ..state_files import read_states
    from .options import wants_progress

    samples = read_states(arguments.samples)
    names = dict.fromkeys([arguments.model, *arguments.against])
    models = {name: load_model(name) for name in names}
    reference = None if arguments.reference is None else load_model(arguments.reference)
    run, t_max, save_time = None, arguments.t_max, arguments.save_time
    if t_max is not None:
        first = models[arguments.model]
        run = simulate_reference(first, samples, t_max, save_time, reference)
        save_time = float(run.time[1]) if run.sizes["time"] > 1 else save_time
    bar = tqdm(models.items(), desc="evaluating", disable=not wants_progress(arguments))
    return {
        name: evaluate_integrator(
            model, samples, t_max=t_max, save_time=save_time, reference=reference,
            reference_run=run,
        )
        for name, model in bar
    }  # fmt: skip
