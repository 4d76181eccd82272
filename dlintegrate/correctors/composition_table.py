"""Learned compositions that serve as starts; written by a search, not by hand."""

COMPOSITIONS = []
