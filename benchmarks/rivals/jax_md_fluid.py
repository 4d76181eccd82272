"""JAX-MD on many small samples of the two-dimensional fluid, in double precision.

Needs the wheels ``jax`` and ``jax-md``.
"""

import os
from importlib.metadata import version

import jax
import jax.numpy as jnp
from jax_md import energy, simulate, smap, space
from serve import serve


def one_thread():
    """XLA counts processors and reads its flags when it is first used."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)


def prepare(job):
    """Potential energy, positions after a few steps, and the task of many."""
    one_thread()
    positions, momenta = jnp.asarray(job["positions"]), jnp.asarray(job["momenta"])
    displacement, shift = space.periodic(job["side"], wrapped=False)
    distance = space.canonicalize_displacement_or_metric(displacement)
    potential = smap.pair(energy.lennard_jones, distance, sigma=1.0, epsilon=1.0)
    _, step = simulate.nve(potential, shift, job["dt"])

    def start(q, p):
        return simulate.NVEState(q, p, -jax.grad(potential)(q), jnp.ones((len(q), 1)))

    @jax.jit
    def run(state, n_steps):
        return jax.lax.fori_loop(0, n_steps, lambda _, s: jax.vmap(step)(s), state)

    now = jax.jit(jax.vmap(start))(positions, momenta)
    first = run(now, job["n_check"])
    name = "JAX-MD, vmap"
    found = {
        "version": f"{version('jax-md')} on jax {version('jax')}",
        "energy": float(jax.jit(jax.vmap(potential))(positions).sum()),
        "after": {name: first.position.tolist()},
        "precision": str(first.position.dtype),
    }

    def many():
        nonlocal now
        now = jax.block_until_ready(run(now, job["n_steps"]))

    return found, {name: many}, None


serve(prepare)
