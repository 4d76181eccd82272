"""Let docstrings be written as they read: ``|S|`` is a norm and ``*sides`` an unpacking.

reStructuredText would take the first for a substitution and the second for emphasis.
Outside literals they never mean that here, so they are escaped on the way to the page.
"""

import re

_LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
_BAR = re.compile(r"(?<!\\)\|")
_STAR = re.compile(r"(?<![\\*\w])\*(?=\w+[,)\]])")


def escape(line):
    """Escape norms and unpackings in a line, but not in its literals."""
    parts = _LITERAL.split(line)
    parts[::2] = [_STAR.sub(r"\\*", _BAR.sub(r"\\|", part)) for part in parts[::2]]
    return "".join(parts)


def process(app, what, name, obj, options, lines):
    """Escape all lines but doctests."""
    lines[:] = [
        line if line.lstrip().startswith((">>>", "...")) else escape(line) for line in lines
    ]


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=100)  # before numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}
