"""Fitted integrators that come with the package, with their provenance."""

from .pretrained import describe_pretrained, list_pretrained, load_pretrained

__all__ = ["describe_pretrained", "list_pretrained", "load_pretrained"]
