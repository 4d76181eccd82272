"""Tables made from ``benchmarks/results/*.json`` while the pages are built.

No number in the documentation is typed by hand: a page names a result file and a
place in it, and these directives print what stands there, with where it came from.
A page whose file does not exist (yet) simply lacks that part.

``{results} name``
    A table of the list of records (or dict of records) at ``:path:``.
``:::::{if-results} name`` … ``:::::``
    Its content is shown only if the file exists; ``name absent``: only if not.
``{result}`name:path```
    One number inside a sentence.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective, SphinxRole

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
CARDS = ROOT / "dlintegrate" / "datasets" / "weights"


def load(name):
    """The content of a result file, or None if there is none."""
    path = path_of(name)
    if not path.is_file():
        return None
    content = json.loads(path.read_text())
    if path.parent == CARDS:
        return {"metadata": content.pop("provenance"), "results": content}
    return content


def path_of(name):
    """``card:name`` is the card of a pretrained integrator, all else a result of a benchmark."""
    kind, _, rest = name.rpartition(":")
    return (CARDS if kind == "card" else RESULTS) / f"{rest}.json"


def lookup(tree, path):
    """What stands at ``a/b/0/c`` in nested dicts and lists; None if nothing does."""
    for key in filter(None, path.split("/")):
        try:
            tree = tree[int(key)] if isinstance(tree, list) else tree[key]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return tree


def format_value(value, digits=3):
    """Three significant digits, and a dash for what is missing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value != value:  # NaN
            return "–"
        if 1000 <= abs(value) < 1e6:
            return f"{value:.0f}"
        if value == 0 or 1e-2 <= abs(value) < 1000:
            return f"{value:.{digits}g}"
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if isinstance(value, list):
        return ", ".join(format_value(v, digits) for v in value)
    return str(value)


def as_records(tree, key_name):
    """Turn a dict of dicts, a dict of numbers or a list of dicts into records."""
    if isinstance(tree, list):
        return [row if isinstance(row, dict) else {"value": row} for row in tree]
    return [
        {key_name: key, **(row if isinstance(row, dict) else {"value": row})}
        for key, row in tree.items()
    ]


def format_threshold(time, error, reached):
    """A threshold time with its error, or a lower bound."""
    if not reached:
        return f"> {time:.4g}"
    known = error is not None and error == error
    return f"{time:.3g} ± {error:.2g}" if known else f"{time:.3g}"


def flatten(record, prefix=""):
    """Nested dicts become columns named ``outer inner``."""
    flat = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and {"time", "reached"} <= set(value):
            flat[name] = format_threshold(value["time"], value.get("error"), value["reached"])
            rest = {k: v for k, v in value.items() if k not in ("time", "error", "reached")}
            flat.update(flatten(rest, f"{name} "))
        elif isinstance(value, dict):
            flat.update(flatten(value, f"{name} "))
        else:
            flat[name] = value
    return flat


class Results(SphinxDirective):
    """A table of records of a result file."""

    required_arguments = 1
    option_spec = {  # noqa: RUF012
        "path": directives.unchanged,
        "key": directives.unchanged,
        "columns": directives.unchanged,
        "headers": directives.unchanged,
        "where": directives.unchanged,
        "digits": directives.unchanged,
        "quiet": directives.flag,
        "record": directives.flag,
    }

    def run(self):
        name = self.arguments[0]
        content = load(name)
        note_dependency(self.env, name)
        tree = None if content is None else lookup(content["results"], self.options.get("path", ""))
        if not tree:
            return []
        if "record" in self.options:  # a row by itself, not a table of rows
            tree = [tree]
        records = [flatten(r) for r in as_records(tree, self.options.get("key", "case"))]
        records = [r for r in records if self.wanted(r)]
        columns = split(self.options.get("columns")) or list(
            dict.fromkeys(k for r in records for k in r)
        )
        headers = split(self.options.get("headers")) or [c.replace("_", " ") for c in columns]
        digits = dict(pair.split("=") for pair in split(self.options.get("digits")))
        rows = [[format_value(r.get(c), int(digits.get(c, 3))) for c in columns] for r in records]
        origin = [] if "quiet" in self.options else [provenance(self.origin(content))]
        return [table(headers, rows), *origin]

    def origin(self, content):
        """Metadata of the run that made the table: parts of a file may have runs of their own."""
        parts = self.options.get("path", "").split("/")[:2]
        own = (lookup(content["results"], f"measured/{part}") for part in parts if part)
        return next(filter(None, own), content["metadata"])

    def wanted(self, record):
        conditions = (c.split("=") for c in split(self.options.get("where")))
        return all(str(record.get(k.strip())) == v.strip() for k, v in conditions)


def split(text):
    """The parts of a comma-separated option."""
    return [part.strip() for part in text.split(",")] if text else []


def table(headers, rows):
    """A docutils table."""
    group = nodes.tgroup(cols=len(headers))
    group += [nodes.colspec(colwidth=1) for _ in headers]
    group += nodes.thead("", line(headers))
    group += nodes.tbody("", *[line(row) for row in rows])
    return nodes.table("", group, classes=["results"])


def line(cells):
    """A row of a table."""
    return nodes.row("", *[nodes.entry("", nodes.paragraph(text=str(c))) for c in cells])


def provenance(metadata):
    """The command, machine, versions and date behind a table."""
    versions = ", ".join(f"{k} {v}" for k, v in metadata.get("versions", {}).items() if v)
    device = metadata.get("device") or metadata.get("cpu", "")
    text = (
        f" · {str(metadata.get('date'))[:10]} · "
        f"{metadata.get('duration_seconds')} s on {device}, {metadata.get('cores')} cores · "
        f"commit {metadata.get('commit')} · {versions} · seeds {metadata.get('seeds')}"
    )
    command = nodes.literal(text=str(metadata.get("command")))
    return nodes.paragraph("", "", command, nodes.Text(text), classes=["results-provenance"])


_CONDITIONAL = re.compile(
    r"^:::::\{if-results\} (\S+)( absent)?\n(.*?)^:::::$", re.MULTILINE | re.DOTALL
)


def keep_what_exists(app, docname, source):
    """Drop the conditional parts of a page whose results do not exist.

    Done on the source and not by a directive, so that a part may have headings.
    """

    def choose(match):
        name, absent, text = match.groups()
        note_dependency(app.env, name)
        return text if (load(name) is None) == bool(absent) else ""

    source[0] = _CONDITIONAL.sub(choose, source[0])


class Result(SphinxRole):
    """One number of a result file inside a sentence."""

    def run(self):
        name, _, path = self.text.rpartition(":")
        note_dependency(self.env, name)
        content = load(name)
        value = None if content is None else lookup(content["results"], path)
        return [nodes.Text(format_value(value))], []


def note_dependency(env, name):
    """Read the page again when the file changes."""
    env.note_dependency(str(path_of(name)))


def setup(app):
    app.add_directive("results", Results)
    app.connect("source-read", keep_what_exists)
    app.add_role("result", Result())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
