"""The interface of every integrator."""

import numbers
import warnings
from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import clone

from .._documentation import Estimator
from ..states import name_samples
from . import simulation
from .step_size import suggest_dt


class Integrator(Estimator, ABC):
    """A map from a state to the state one time step later.

    Subclasses set ``system`` and ``dt`` in ``__init__`` (which only stores) and
    implement :meth:`advance`; everything that users call is built on it.

    Attributes
    ----------
    guarantees : frozenset of str
        What every step keeps to rounding: ``"norm"``, ``"energy"``,
        ``"magnetization"``, ``"momentum"``, ``"time_reversible"``,
        ``"symplectic"``, ``"volume_preserving"``, ``"rotation_equivariant"``,
        ``"translation_equivariant"``, ``"even_translation_equivariant"``,
        ``"permutation_equivariant"``, ``"galilean_equivariant"``,
        ``"spin_rotation_equivariant"``.
        Checked by :func:`dlintegrate.testing.check_integrator`.
    batch_tolerance : float
        How far a sample may depend on the others in its batch: not at all, but
        for networks.
    """

    batch_tolerance = 0.0

    @property
    @abstractmethod
    def guarantees(self):
        """What every step keeps to rounding."""

    @abstractmethod
    def advance(self, array, n_steps):
        """Return the states after ``n_steps`` steps.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)
            Validated states; not modified.
        n_steps : int

        Returns
        -------
        ndarray, like ``array``
            Samples that could not be advanced are NaN, and only those.
        """

    @property
    def simulated(self):
        """The system whose observables a trajectory records."""
        return self.system

    @property
    def falls_back(self):
        """Whether steps of single samples may be redone with small ones; see :class:`Fallback`."""
        return False

    def advance_counting(self, array, n_steps):
        """As :meth:`advance`, and how many steps of each sample fell back.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)
        n_steps : int

        Returns
        -------
        result : ndarray, like ``array``
        n_fallbacks : ndarray of int, shape (n_samples,)
        """
        return self.advance(array, n_steps), np.zeros(len(array), dtype=np.int64)

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin of :meth:`advance`: differentiable, on the tensor's device.

        Parameters
        ----------
        tensor : torch.Tensor, shape (n_samples, ...)
        n_steps : int

        Raises
        ------
        NotImplementedError
            If the integrator has none.
        """
        raise NotImplementedError(f"{type(self).__name__} has no torch twin")

    def with_dt(self, dt):
        """Return an unfitted copy of this integrator with another time step."""
        return clone(self).set_params(dt=dt)

    def reverse(self):
        """Return this integrator with the time step negated.

        It undoes a step exactly if and only if the integrator is ``time_reversible``.
        """
        return self.with_dt(-self.checked_dt())

    def checked_dt(self):
        """The time step as a checked float (negative steps go back in time)."""
        dt = self.dt
        if not isinstance(dt, numbers.Real) or not np.isfinite(dt) or dt == 0:
            raise ValueError(f"dt={dt!r}: expected a finite number other than zero")
        return float(dt)

    @property
    def any_size(self):
        """Whether states of another size than the system's are accepted."""
        return True

    def validate(self, states, name="samples"):
        """Check states and return ``(system at their size, ndarray)``.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, ...)
        name : str
            What to call the argument in error messages.

        Returns
        -------
        system : System
        array : ndarray, shape (n_samples, ...)
            Packed.

        Raises
        ------
        ValueError
            If the states do not suit the system or, for integrators that are not
            local, have another size.
        """
        dims = self.system.state_dims
        shape = (
            tuple(states.sizes.get(d, 0) for d in ("sample", *dims))
            if hasattr(states, "sizes")
            else np.shape(states)
        )
        system = self.system
        complete = 0 not in shape[1:]  # else to_array says which dimensions are missing
        if self.any_size and len(shape) == len(dims) + 1 and complete:
            system = system.resized(shape[1:])
        return system, system.validate(states, name)

    def step(self, states, n_steps=1):
        """Advance states by ``n_steps`` time steps.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, ...)
            Never modified.
        n_steps : int, default 1

        Returns
        -------
        like ``states``
            Samples that fail are NaN and named in a RuntimeWarning.

        Raises
        ------
        ValueError
            On states that do not suit the system, or a negative ``n_steps``.
        """
        if not isinstance(n_steps, numbers.Integral) or n_steps < 0:
            raise ValueError(f"n_steps={n_steps!r}: expected an int, 0 or more")
        system, array = self.validate(states)
        result = self.advance(array, int(n_steps))
        bad = ~system.healthy(result)
        if bad.any():
            result[bad] = np.nan
            warnings.warn(
                f"{type(self).__name__}.step failed for {name_samples(bad)}, now NaN; "
                "use a smaller dt",
                RuntimeWarning,
                stacklevel=2,
            )
        return system.wrap(result, states)

    def simulate(self, initial, t_max, *, save_every=1, path=None, progress=False):
        """Integrate from ``initial`` to ``t_max`` and record the trajectory.

        Parameters
        ----------
        initial : xarray.DataArray or array-like, shape (n_samples, ...)
            States at time 0.
        t_max : float
            Physical time to reach; the number of steps is rounded to the nearest
            multiple of ``save_every``.
        save_every : int, default 1
            Steps between two saved frames.
        path : str or path-like, optional
            Stream the frames to this netCDF file (or zarr store, if it ends in ``.zarr``)
            with constant memory instead of keeping them; it is readable at any moment,
            see :meth:`resume`.
        progress : bool or str, default False
            Show a progress bar; a str is its label.

        Returns
        -------
        xarray.Dataset
            The state with dimensions ``("sample", "time", ...)``, the observables
            of the system per time (energy, magnetisation), ``status(sample)`` (0
            ok, 1 fell back, 2 failed) and ``failure_time(sample)``. A sample that
            fails is frozen at its last good frame and the rest go on. With
            ``path``, variables are read from the file when they are used.

        Raises
        ------
        ValueError
            On unsuitable states or parameters.
        FileExistsError
            If ``path`` exists.
        ImportError
            For a zarr store, if zarr is missing.
        """
        return simulation.simulate(
            self, initial, t_max, save_every=save_every, path=path, progress=progress
        )

    def suggest_dt(self, samples, tol, *, duration=1.0):
        """Largest step of this integrator with an error below ``tol``; see :func:`suggest_dt`."""
        return suggest_dt(self, samples, tol, duration=duration)

    def resume(self, path, t_max, *, progress=False):
        """Continue a streamed trajectory to ``t_max``, bit for bit as if never interrupted.

        Parameters
        ----------
        path : str or path-like
            What :meth:`simulate` wrote, finished or killed.
        t_max : float
            Physical time to reach, counted from the original start.
        progress : bool, default False
            Show a progress bar.

        Returns
        -------
        xarray.Dataset
            As :meth:`simulate` with ``path``.

        Raises
        ------
        ValueError
            If the file was not written by an integrator with these parameters, or ends with
            impossible states.
        OSError
            If the file cannot be read, or is truncated.
        """
        return simulation.resume(self, path, t_max, progress=progress)
