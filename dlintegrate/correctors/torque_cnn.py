"""The plain convolutional network of Cheng 2023."""

import numbers

from .field import FieldCorrector


class TorqueCNN(FieldCorrector):
    """Convolutional network from spins to what turns them (Cheng 2023, Sec. III B).

    The network of the paper gives torques; this one gives fields, whose part across the spin is
    kept: the torque turned back by 90° about the spin.

    Residual blocks of two periodic convolutions with rectifiers, skips of 1×1 where the
    number of features changes, and two final convolutions; no batch normalisation. The
    sheared lattice is treated as a square one. The network knows none of the symmetries: it
    meets them in training, by random elements of O(3) and D6.

    Parameters
    ----------
    widths : tuple of int, default (64, 128, 256, 512)
        Features after each block. The paper gives the number of blocks and the last
        width; a hundredth of its weights is what a CPU can train.
    kernel_size : int, default 5
        Odd.
    training : FieldTraining, optional
        For the paper's: ``FieldTraining(loss="relative", scheduler="plateau",
        learning_rate=1e-3)``.
    precision : {"single", "double"}, default "single"
        Of predictions.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    scale_ : float
        Unit of torques: their mean over the training set, or that of the initial weights.
    history_ : dict of lists
    """

    def __init__(
        self, widths=(64, 128, 256, 512), kernel_size=5, training=None, precision="single"
    ):
        self.widths = widths
        self.kernel_size = kernel_size
        self.training = training
        self.precision = precision

    @property
    def field_symmetries(self):
        """None."""
        return frozenset()

    def _check_parameters(self):
        super()._check_parameters()
        widths = self.widths if isinstance(self.widths, tuple | list) else (None,)
        if not widths or not all(isinstance(w, numbers.Integral) and w > 0 for w in widths):
            raise ValueError(f"widths={self.widths!r}: expected a tuple of positive ints")
        size = self.kernel_size
        if not isinstance(size, numbers.Integral) or size < 1 or size % 2 == 0:
            raise ValueError(f"kernel_size={size!r}: expected an odd positive int")

    def _build(self):
        from ._field_modules import PlainNetwork

        return PlainNetwork(tuple(self.widths), self.kernel_size)
