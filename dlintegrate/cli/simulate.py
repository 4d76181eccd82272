"""``dlintegrate simulate``: a trajectory from an integrator and initial states."""

import os

from .options import (
    add_output,
    add_progress,
    check_output,
    complain,
    count,
    file_argument,
    number,
    replaced,
    say,
    wants_progress,
)

MODEL_HELP = (
    "a fitted file, a TOML file with [system] and [integrator], or a name that "
    "`dlintegrate pretrained` lists"
)


def add_to(commands):
    """Add the command."""
    simulate = commands.add_parser(
        "simulate",
        help="integrate initial states and stream the trajectory to a netCDF file",
        description="Integrate the states of a netCDF file and stream the trajectory to another "
        "one, which is readable at any moment. After an interruption, even kill -9, the same "
        "command with --resume continues bit for bit as if nothing had happened.",
    )
    file_argument(simulate, "model", metavar="MODEL", help=MODEL_HELP)
    file_argument(
        simulate, "initial", metavar="INITIAL.nc",
        help="states as `dlintegrate sample` writes them, or a trajectory, of which the last "
        "frame is taken",
    )  # fmt: skip
    add_output(simulate, help="the netCDF file to write")
    simulate.add_argument(
        "--t-max", type=number, required=True, metavar="T",
        help="physical time to reach, counted from the start also by --resume",
    )  # fmt: skip
    simulate.add_argument(
        "--save-every", type=count, metavar="N", help="steps between two frames (default: 1)"
    )
    add_progress(simulate)
    simulate.set_defaults(run=_run)


def _run(arguments):
    from ..configuration import load_model
    from ..state_files import read_states

    check_output(arguments)
    integrator, initial = load_model(arguments.model), read_states(arguments.initial)
    output, progress = arguments.output, wants_progress(arguments)
    try:
        if arguments.resume and os.path.exists(output):
            _check_same_run(integrator, initial, arguments)
            run = integrator.resume(output, arguments.t_max, progress=progress)
        else:
            with replaced(output, arguments.overwrite):
                run = integrator.simulate(
                    initial, arguments.t_max, save_every=arguments.save_every or 1, path=output,
                    progress=progress,
                )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        reached = str(interrupt).partition(";")[0]
        raise KeyboardInterrupt(
            f"{reached or 'stopped'}; {output} is readable, --resume continues it"
        ) from None
    with run:
        return _report(run, output)


def _report(run, output):
    """Say what was written; 1 if no sample came through."""
    from ..states import FAILED, FELL_BACK

    status = run.status.values
    n_failed, n_fell_back = (status == FAILED).sum(), (status == FELL_BACK).sum()
    say(
        f"{output}: {run.sizes['time']} frames to t = {float(run.time[-1]):g}, {len(status)} "
        f"samples, of which {n_failed} failed and {n_fell_back} fell back to small steps"
    )
    if n_failed == len(status):
        complain("error", "every sample failed; use a smaller dt")
        return 1
    return 0


def _check_same_run(integrator, initial, arguments):
    """Whether the file to resume began with these states and this spacing of frames."""
    import numpy as np

    from ..state_files import open_states

    output, asked = arguments.output, arguments.save_every
    _, array = integrator.validate(initial, "initial")
    system = integrator.simulated.matching(array)
    with open_states(output) as run:
        if "time" not in run.dims or "save_every" not in run.attrs:
            raise ValueError(f"--resume: {output} is not a trajectory written by dlintegrate")
        if asked is not None and asked != run.attrs["save_every"]:
            raise ValueError(
                f"--save-every {asked}: {output} has a frame every {run.attrs['save_every']} "
                "steps; leave the option out, or choose another file"
            )
        start = run[system.state_name].isel(time=0).values
        if not np.array_equal(start, system.unpack(array)[0]):
            raise ValueError(
                f"--resume: {output} did not start from {arguments.initial}; choose another file"
            )
