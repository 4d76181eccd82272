"""Null models that make no step: functions of system, packed states and horizon."""

import numpy as np


def at_rest(system, array, horizon):
    """Nothing moves."""
    return array.copy()


def frozen_field(system, array, horizon):
    """Rotation of each spin about the field that it starts in: ``S' = S × h``."""
    field = system.field_of(array)
    length = np.linalg.norm(field, axis=-1, keepdims=True)
    axis, angle = field / np.maximum(length, 1e-300), -length * horizon
    along = axis * (axis * array).sum(-1, keepdims=True)
    across = np.cross(axis, array)
    return along + np.cos(angle) * (array - along) + np.sin(angle) * across
