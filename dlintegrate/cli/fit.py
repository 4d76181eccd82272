"""``dlintegrate fit``: a corrected integrator from a TOML file."""

import os
import time

from .options import (
    add_jobs,
    add_output,
    add_progress,
    add_settings,
    check_output,
    file_argument,
    say,
    seed,
    wants_progress,
)


def add_to(commands):
    """Add the command."""
    fit = commands.add_parser(
        "fit",
        help="fit a corrected integrator that a TOML file describes",
        description="Fit the corrected integrator of a TOML file with [system], [base], "
        "[corrector] and [samples], and optionally [reference], [fallback], projection and seed, "
        "and write it to a file that `dlintegrate simulate` and dlintegrate.load read.",
    )
    file_argument(fit, "config", metavar="CONFIG.toml")
    add_output(fit, help="the .safetensors file to write")
    fit.add_argument("--seed", type=seed, help="seed, in place of that of the file")
    fit.add_argument("--device", help="torch device of networks, in place of that of the file")
    add_settings(fit)
    add_jobs(fit)
    add_progress(fit)
    fit.set_defaults(run=_run)


def _run(arguments):
    from .. import load, save
    from ..configuration import Configuration
    from ..persistence import description_of
    from ..state_files import samples_description, training_set
    from .checkpoints import (
        fit_with_checkpoints,
        kept_checkpoints,
        remove_checkpoints,
        same_parameters,
    )

    check_output(arguments)
    checkpoint = f"{arguments.output}.checkpoint"
    kept = kept_checkpoints(checkpoint)
    if kept and not (arguments.resume or arguments.overwrite):
        raise FileExistsError(
            f"{kept[0]} is what an interrupted fit left; --resume continues it, --overwrite "
            "starts anew"
        )
    configuration = Configuration.read(arguments.config, arguments.settings)
    for key, value in (("seed", arguments.seed), ("device", arguments.device)):
        if value is not None:
            configuration.table[key] = value
    estimator = configuration.corrected()
    output, progress = arguments.output, wants_progress(arguments)
    samples = samples_description(configuration)  # before the training: their file may change
    if arguments.resume and os.path.exists(output):
        if not same_parameters(load(output), estimator):
            raise ValueError(
                f"--resume: {output} was fitted with other parameters; --overwrite replaces it"
            )
        if description_of(output) != samples:
            raise ValueError(
                f"--resume: {output} was fitted to other samples; --overwrite replaces it"
            )
        say(f"{output}: nothing left to do")
        return
    own_jobs = estimator.n_jobs
    jobs = own_jobs if arguments.jobs is None else arguments.jobs
    data = training_set(configuration, n_jobs=jobs, progress=progress)
    estimator.set_params(n_jobs=jobs)
    say(f"fitting {type(estimator.corrector).__name__} on {len(data[0])} samples")
    started = time.perf_counter()
    try:
        fit_with_checkpoints(
            estimator, data, checkpoint, resume=arguments.resume, progress=progress
        )
    except KeyboardInterrupt:
        kept = kept_checkpoints(checkpoint)
        raise KeyboardInterrupt(
            f"{kept[0]} is kept, --resume continues it" if kept else ""
        ) from None
    say(f"fitted in {time.perf_counter() - started:.1f} s; it keeps "
        f"{', '.join(sorted(estimator.guarantees)) or 'nothing to rounding'}")  # fmt: skip
    save(estimator.set_params(n_jobs=own_jobs), output, samples)
    remove_checkpoints(checkpoint)
    say(f"{output}: dt = {estimator.dt:g}; dlintegrate simulate and dlintegrate.load read it")
