"""The triangular lattice; needs nothing to be imported."""

#: Displacements to nearest neighbours in units of a1 = (1, 0), a2 = (1/2, √3/2).
NEAREST = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))
