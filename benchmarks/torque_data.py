"""Spins and exact fields for training and testing torque models of the s-d model.

    python benchmarks/torque_data.py FOLDER test     # exact trajectories, 24²; 20 min a core
    python benchmarks/torque_data.py FOLDER seed     # smooth random textures; 1 min
    python benchmarks/torque_data.py FOLDER linear   # states that a linear field relaxes; 8 min
    python benchmarks/torque_data.py FOLDER early    # the beginning of such runs; 3 min

Every label is the electronic field averaged over periodic and antiperiodic boundaries:
a torque at one boundary has an error of several per cent at 24². Test trajectories follow
the exact field of the periodic lattice. Training states do not come from exact trajectories:
they relax in the best field known so far, and only the states that are kept are labelled,
so no exact field is spent on getting from one to the next. ``train_torque.py`` goes on
with the learned fields themselves. Each stage is one .npz file, kept if it is there.
"""

import argparse
import os

import numpy as np

from dlintegrate import KernelPolynomial, SemiImplicitB, TriangularSDModel, skyrmion_lattice
from dlintegrate.metrics import torque_error
from dlintegrate.persistence import replacing
from dlintegrate.systems.spins import SpinSystem

SIDE = 24
SEED = 20230914
#: Test trajectories that start from random spins; the others start from skyrmion lattices.
N_RANDOM = 3
#: Moments of the labels: torque errors below 3e-3 (training) and 3e-4 (testing).
TRAINING_MOMENTS, TEST_MOMENTS = 160, 240


def unit(vectors):
    """Divide by the length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def label(spins, n_moments, n_twists=2):
    """Electronic fields without the external one."""
    model = TriangularSDModel(
        spins.shape[1:3], field=(0, 0, 0), solver=KernelPolynomial(n_moments, n_twists=n_twists)
    )
    return np.concatenate([model.field_of(spins[k : k + 1]) for k in range(len(spins))])


def starts(rng, n_random, n_skyrmions, side=SIDE, symmetric=False):
    """Random spins, and skyrmion lattices with all kinds of perturbations.

    ``symmetric`` ones have M = 0 and no phase, as ``skyrmion_lattice`` has by default: one vector
    in 48 of Eq. 13 vanishes, and noise decides which way that spin points.
    """
    random = unit(rng.normal(size=(n_random, side, side, 3)))
    lattices = []
    for _ in range(n_skyrmions):
        form = {"amplitude": rng.uniform(0.7, 1.3)}
        if not symmetric:
            form |= {"offset": rng.uniform(-0.4, 0.6), "phase": rng.uniform(-0.3, 0.3)}
        spins = skyrmion_lattice(
            (side, side), **form, perturbation=rng.choice([0.03, 0.1, 0.2]),
            random_state=int(rng.integers(2**31)),
        )[0]  # fmt: skip
        lattices.append(unit(spins + rng.choice([0.0, 0.1, 0.3]) * rng.normal(size=spins.shape)))
    return np.concatenate([random, lattices]) if lattices else random


def relax(system, spins, damping, times, dt=2.0):
    """Frames of damped trajectories, shape (n_samples, n_times, side, side, 3).

    ``damping`` has one value per sample.
    """
    frames = np.empty((len(spins), len(times), *spins.shape[1:]))
    for alpha in np.unique(damping):
        step = SemiImplicitB(system, dt, float(alpha), drop_longitudinal=True)
        chosen, state, steps = damping == alpha, spins[damping == alpha], 0
        for k, time in enumerate(times):
            state = step.advance(state, round(time / dt) - steps)
            steps = round(time / dt)
            frames[chosen, k] = state
    return frames


def test(folder):
    """Exact trajectories to t = 400 from random spins, the last one from a skyrmion lattice."""
    path = os.path.join(folder, "test.npz")
    if os.path.exists(path):
        return
    rng = np.random.default_rng(SEED)
    spins = np.concatenate([
        unit(rng.normal(size=(N_RANDOM, SIDE, SIDE, 3))),
        skyrmion_lattice((SIDE, SIDE), 2, perturbation=0.1, random_state=SEED)[1:],
    ])  # fmt: skip
    exact = TriangularSDModel((SIDE, SIDE), solver=KernelPolynomial(200))
    times = np.array([0, 20, 40, 80, 120, 160, 200, 240, 280, 320, 360, 400], float)
    frames = []
    for k in range(len(spins)):
        part = os.path.join(folder, f"test_{k}.npy")
        if not os.path.exists(part):
            run = relax(exact, spins[k : k + 1], np.array([0.05]), times)
            with replacing(part) as temporary, open(temporary, "wb") as file:
                np.save(file, run)
        frames.append(np.load(part))
        print("test trajectory", k, flush=True)
    frames = np.concatenate(frames)
    flat = frames.reshape(-1, SIDE, SIDE, 3)
    store(
        path, spins=frames, times=times,
        fields=label(flat, TEST_MOMENTS).reshape(frames.shape),
        periodic_fields=label(flat, TEST_MOMENTS, 1).reshape(frames.shape),
    )  # fmt: skip


def seed(folder):
    """48 random textures with a ring of wave vectors of all widths."""
    path = os.path.join(folder, "seed.npz")
    if os.path.exists(path):
        return
    rng = np.random.default_rng(0)
    k = 2 * np.pi * np.fft.fftfreq(SIDE)
    q1, q2 = (
        np.meshgrid(k, k, indexing="ij")[c][..., None] + 2 * np.pi * shift
        for c, shift in enumerate(np.indices((3, 3)).reshape(2, 9) - 1)
    )
    length = np.hypot(q1, (2 * q2 - q1) / np.sqrt(3)).min(axis=-1)
    spins = []
    for width in np.geomspace(0.08, 3, 48):
        ring = np.exp(-0.5 * ((length - np.pi / 3) / width) ** 2) + 0.02
        noise = np.fft.fft2(rng.normal(size=(SIDE, SIDE, 3)), axes=(0, 1))
        spins.append(np.fft.ifft2(noise * ring[..., None], axes=(0, 1)).real)
    spins = unit(np.array(spins))
    rng.shuffle(spins)
    store(path, spins=spins, fields=label(spins, TRAINING_MOMENTS))


def store(path, **arrays):
    """Write in single precision, in one piece."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{k: np.float32(v) for k, v in arrays.items()})
    print("wrote", os.path.basename(path), flush=True)


class LinearField(SpinSystem):
    """Spins in ``B + Σ_r K(r) S(r)``, with K the same for displacements that D6 relates.

    The Ruderman-Kittel-Kasuya-Yosida form: the null model of every learned field.
    """

    state_dims = ("x", "y", "component")

    def __init__(self, shape, kernel, field):
        self.shape = shape
        self.kernel = kernel
        self.field = field

    @property
    def lattice_shape(self):
        """The sides."""
        return self.shape

    def field_of(self, array):
        """By Fourier transforms; see SpinSystem."""
        return convolve(array, self.kernel) + self.bias

    def resized(self, state_shape):
        """Not: the kernel is that of one lattice."""
        return self

    def validate(self, states, name="samples"):
        """Trust the caller."""
        return np.asarray(states)

    def energy(self, states):
        """Of the exchange and the external field."""
        pairs = 0.5 * (convolve(states, self.kernel) * states).sum((1, 2, 3))
        return -pairs - states.sum((1, 2)) @ self.bias

    def observables(self, array):
        """None."""
        return {}


def convolve(spins, kernel):
    """Periodic sums ``Σ_r K(r) S(x + r)``."""
    spectrum = np.fft.rfft2(kernel)[..., None].conj()
    sides = spins.shape[1:3]
    return np.fft.irfft2(np.fft.rfft2(spins, axes=(1, 2)) * spectrum, s=sides, axes=(1, 2))


def shells(side, reach):
    """Kernels of one for the displacements of an orbit of D6, shape (n_orbits, side, side)."""
    kernels = {}
    for x in range(-reach, reach + 1):
        for y in range(-reach, reach + 1):
            if not 0 < x * x + x * y + y * y <= reach * reach:
                continue
            orbit, (a, b) = set(), (x, y)
            for _ in range(6):
                a, b = -b, a + b
                orbit |= {(a, b), (b, a)}
            kernel = np.zeros((side, side))
            for a, b in orbit:
                kernel[a % side, b % side] += 1.0
            kernels[min(orbit)] = kernel
    return np.array(list(kernels.values()))


def fit_linear(spins, fields, reach=11):
    """Least squares of the torques; returns the kernel."""
    kernels = shells(spins.shape[1], reach)
    columns = np.stack([_perp(convolve(spins, k), spins).ravel() for k in kernels], axis=1)
    weights = np.linalg.lstsq(columns, _perp(fields, spins).ravel(), rcond=None)[0]
    return np.tensordot(weights, kernels, axes=1)


def _perp(fields, spins):
    return fields - (fields * spins).sum(-1, keepdims=True) * spins


def linear(folder):
    """40 trajectories in a linear field fitted to the seed, 8 states of each."""
    path = os.path.join(folder, "linear.npz")
    if os.path.exists(path):
        return
    data = np.load(os.path.join(folder, "seed.npz"))
    spins, fields = (np.float64(data[k]) for k in ("spins", "fields"))
    kernel = fit_linear(spins[:40], fields[:40])
    held_out = torque_error(convolve(spins[40:], kernel), fields[40:], spins[40:])
    print(f"linear field: torque error {held_out:.3f} on 8 textures not fitted", flush=True)
    rng = np.random.default_rng(1)
    begin = starts(rng, 20, 20)
    damping = rng.choice([0.05, 0.1, 0.3], size=len(begin))
    system = LinearField((SIDE, SIDE), kernel, (0.0, 0.0, 0.005))
    frames = relax(system, begin, damping, [0, 16, 40, 80, 160, 320, 640, 1280])
    fields = label(frames.reshape(-1, SIDE, SIDE, 3), TRAINING_MOMENTS).reshape(frames.shape)
    store(path, spins=frames, fields=fields, kernel=kernel)


def early(folder):
    """32 random starts that the linear field relaxes, soon after: there torques are largest."""
    path = os.path.join(folder, "early.npz")
    if os.path.exists(path):
        return
    kernel = np.float64(np.load(os.path.join(folder, "linear.npz"))["kernel"])
    rng = np.random.default_rng(3)
    system = LinearField((SIDE, SIDE), kernel, (0.0, 0.0, 0.005))
    begin = starts(rng, 32, 0)
    frames = relax(system, begin, rng.choice([0.05, 0.1, 0.3], size=len(begin)), [0, 6, 20])
    fields = label(frames.reshape(-1, SIDE, SIDE, 3), TRAINING_MOMENTS).reshape(frames.shape)
    store(path, spins=frames, fields=fields)


def main():
    """Run the stages that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("stages", nargs="+", choices=["test", "seed", "linear", "early"])
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    for stage in options.stages:
        {"test": test, "seed": seed, "linear": linear, "early": early}[stage](options.folder)


if __name__ == "__main__":
    main()
