"""Units of atomistic systems: eV, Å, fs, μB, K. Momenta are in eV fs/Å, so that dp/dt is a force.

Constants are those of CODATA 2018.
"""

#: Reduced Planck constant, eV fs.
HBAR = 0.6582119569
#: Boltzmann constant, eV/K.
BOLTZMANN = 8.617333262e-5
#: Atomic mass unit, eV fs²/Å².
ATOMIC_MASS = 103.6426966
#: Bohr magneton, eV/T.
BOHR_MAGNETON = 5.7883818060e-5
#: A moment S in μB with g = 2 precesses as dS/dt = GYROMAGNETIC S × (-∂E/∂S); μB/(eV fs).
GYROMAGNETIC = 2.0 / HBAR
#: One eV/Å³ in GPa.
GIGAPASCAL = 160.2176634
