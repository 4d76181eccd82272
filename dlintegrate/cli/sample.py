"""``dlintegrate sample``: states of thermal equilibrium, or whatever a TOML file asks for."""

import os

from .options import (
    add_jobs,
    add_output,
    add_progress,
    add_settings,
    check_output,
    count,
    file_argument,
    number,
    replaced,
    say,
    seed,
    wants_progress,
)

#: Words for the systems; the names of the classes work as well.
SYSTEMS = {
    "heisenberg": "HeisenbergLattice",
    "crystal": "SpinLatticeCrystal",
    "lennard-jones": "LennardJones2D",
    "sd-model": "TriangularSDModel",
}


def add_to(commands):
    """Add the command."""
    sample = commands.add_parser(
        "sample",
        help="draw samples of a system and write them to a netCDF file",
        description="Draw states of thermal equilibrium (or what [samples] of a TOML file asks "
        "for) and write them to a netCDF file: one DataArray, with the temperature of each sample.",
    )
    file_argument(
        sample, "system", metavar="SYSTEM",
        help=f"a TOML file with [system] and [samples], or one of {', '.join(SYSTEMS)}",
    )  # fmt: skip
    add_output(sample, help="the netCDF file to write")
    system = sample.add_argument_group("the system, in place of [system]")
    system.add_argument("--shape", type=count, nargs="+", metavar="SIDE", help="sides of a lattice")
    system.add_argument("--n-particles", type=count, metavar="N")
    system.add_argument("--density", type=number, help="particles per area, in 1/σ²")
    drawn = sample.add_argument_group("the samples, in place of [samples]")
    drawn.add_argument(
        "--temperature", type=number, nargs="+", metavar="T", help="k_B = 1; of crystals, in K"
    )
    drawn.add_argument("-n", "--n-samples", type=count, metavar="N", help="at each temperature")
    sample.add_argument("--seed", type=seed, help="seed (default: that of the file, or 0)")
    add_settings(sample)
    add_jobs(sample)
    add_progress(sample)
    sample.set_defaults(run=_run)


def _run(arguments):
    from ..state_files import described, draw, same_description, write_states

    check_output(arguments)
    configuration = _configuration(arguments)
    output = arguments.output
    streams = configuration.table.get("samples", {}).get("function") == "sample_relaxation"
    if os.path.exists(output) and arguments.resume and not streams:
        if not same_description(output, configuration):
            raise ValueError(f"--resume: {output} holds other samples; --overwrite replaces it")
        say(f"{output}: nothing left to do")
        return
    with replaced(output, arguments.overwrite and streams):
        states = draw(
            configuration, output, n_jobs=arguments.jobs, progress=wants_progress(arguments)
        )
    if states is not None:
        write_states(described(states, configuration), output)
        say(f"{output}: {len(states)} samples of {configuration.system_name}")
    else:
        say(f"{output}: complete")


def _configuration(arguments):
    """The TOML file or the named system, with what the options replace."""
    from ..configuration import Configuration, choices, override

    options = {
        "system": {key: getattr(arguments, key) for key in ("shape", "n_particles", "density")},
        "samples": {key: getattr(arguments, key) for key in ("temperature", "n_samples")},
    }
    name = arguments.system
    if name.endswith(".toml"):
        configuration = Configuration.read(name, arguments.settings)
    elif name not in {*SYSTEMS, *SYSTEMS.values()}:
        raise ValueError(f"SYSTEM={name!r}: {choices(name, SYSTEMS)}, or a file that ends in .toml")
    else:
        table = {"system": {"class": SYSTEMS.get(name, name)}, "samples": {}}
        for text in arguments.settings:
            override(table, text)
        configuration = Configuration(table, name)
    for section, values in options.items():
        given = {key: value for key, value in values.items() if value is not None}
        if given:
            configuration.table.setdefault(section, {}).update(given)
    if arguments.seed is not None:
        configuration.table["seed"] = arguments.seed
    return configuration
