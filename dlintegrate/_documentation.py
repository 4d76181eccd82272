"""Where the documentation is, and the link to it that every estimator shows in a notebook."""

import os
from types import SimpleNamespace

from sklearn.base import BaseEstimator

#: Address of the built documentation, with a slash at its end: the one place that knows it.
#: Empty, links are relative to its root; the environment sets it for a copy elsewhere.
DOCUMENTATION = os.environ.get("DLINTEGRATE_DOCUMENTATION", "")


def documentation_page(cls):
    """Address of the page about an estimator class, or of its nearest public base class.

    Parameters
    ----------
    cls : type

    Returns
    -------
    str
        Empty if no class that it descends from is public.
    """
    from . import _PUBLIC

    names = (base.__name__ for base in cls.__mro__ if base.__module__.startswith(__package__))
    name = next((name for name in names if name in _PUBLIC), None)
    return "" if name is None else f"{DOCUMENTATION}api/generated/{__package__}.{name}.html"


class Estimator(BaseEstimator):
    """What systems, integrators, correctors and their parts show of themselves in a notebook.

    scikit-learn draws the diagram; a class adds the link to its page, and the estimators
    that it holds, whether they can be fitted or not.
    """

    _doc_link_module = __package__
    _doc_link_template = "{page}"

    def _doc_link_url_param_generator(self):
        return {"page": documentation_page(type(self))}

    def _sk_visual_block_(self):
        held = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if isinstance(value, BaseEstimator)
        }
        name = type(self).__name__
        # what scikit-learn reads of a block; its own class for it is private and has moved
        look = {"dash_wrapped": True, "name_caption": None, "doc_link_label": None}
        if not held:
            return SimpleNamespace(
                kind="single", estimators=self, names=name, name_details=str(self), **look
            )
        return SimpleNamespace(
            kind="serial",
            estimators=list(held.values()),
            names=[f"{name}: {type(value).__name__}" for name, value in held.items()],
            name_details=[str(value) for value in held.values()],
            **look,
        )
