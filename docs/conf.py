"""Sphinx configuration. The build needs no network: nothing is fetched, nothing linked in."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

# The gallery runs real simulations; on a shared machine one thread each is fair.
os.environ.setdefault("TQDM_DISABLE", "1")
# Where the pages of the gallery find what the diagrams of estimators link to.
os.environ["DLINTEGRATE_DOCUMENTATION"] = "../"

import matplotlib  # noqa: E402
from sphinx.ext import autosummary  # noqa: E402

matplotlib.use("agg")

import dlintegrate  # noqa: E402

project = "dlintegrate"
copyright = "the dlintegrate developers"
author = "the dlintegrate developers"
version = release = dlintegrate.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "plain_docstrings",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "results",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
templates_path = ["_templates"]
exclude_patterns = ["_build", "Thumbs.db", "gallery/*.py", "gallery/*.ipynb", "gallery/*.md5"]
suppress_warnings = ["config.cache"]  # sphinx-gallery keeps functions in its configuration

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
# or the summaries of this library would end at "(Park 2022, Eq."
autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Eqs.", "Fig.", "Figs.", "sec.")
default_role = "py:obj"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {
    "GL03", "GL05", "GL06", "GL07", "GL08", "PR01", "PR02", "PR03", "PR09",
    "SS01", "SS02", "SS03", "YD01",
}  # fmt: skip
# A line that says what this class does with a method that its base class explains, or where
# it is explained, need not repeat the parameters.
numpydoc_validation_overrides = {
    "PR01": [r"\A\s*[^\n]+\s*\Z", r"(?i:\b(see|as|inverse of|torch twin of) (the )?:)\w+:`"],
}
numpydoc_validation_exclude = {
    r"\.__\w+__$",
    r"ThresholdTime|DiffusionCoefficient|systems\.Evaluation",
}

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "within_subsection_order": "gallery_order.ReadingOrder",
    "abort_on_example_error": True,
    "only_warn_on_example_error": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "min_reported_time": 0,
    "download_all_examples": False,
    "copyfile_regex": r".*\.rst",
    "matplotlib_animations": False,
    "image_scrapers": ("gallery_animations.save_animations", "matplotlib"),
    "doc_module": ("dlintegrate",),
    "reference_url": {"dlintegrate": None},
    "backreferences_dir": "gallery/backreferences",
    "nested_sections": False,
}
warnings.filterwarnings("ignore", message=".*non-interactive.*")

html_theme = "pydata_sphinx_theme"
html_title = "dlintegrate"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_context = {"default_mode": "auto"}  # light or dark as the reader's system has it
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "dlintegrate"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
}
html_sidebars = {
    "installation": [], "does_it_pay": [], "reproduction": [], "physics": [], "changelog": [],
    "contributing": [],
}  # fmt: skip
