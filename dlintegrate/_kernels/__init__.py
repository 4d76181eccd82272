"""Numba kernels and their torch twins: plain functions of arrays, no classes."""
