"""The built documentation, as a browser shows it: nothing missing, nothing wider than a phone.

Needs a folder of built pages in ``DLINTEGRATE_PAGES`` (the gate builds them), and Chromium.
"""

import json
import os
import re
import shutil
import subprocess
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILT = Path(os.environ.get("DLINTEGRATE_PAGES", ""))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BUILT / "index.html").is_file(), reason="no built pages in DLINTEGRATE_PAGES"
    ),
]

#: Runs before everything else on a page and keeps what goes wrong, images and scripts included.
WATCH = b"""<script>
window.reported = [];
window.addEventListener("error", e => window.reported.push(
  e.message || "cannot load " + (e.target.src || e.target.href)), true);
window.addEventListener("unhandledrejection", e => window.reported.push(String(e.reason)));
console.error = (...words) => window.reported.push(words.join(" "));
</script>"""


def pages():
    """Paths of the pages below the root; listings of source code and search are left out."""
    found = (path.relative_to(BUILT).as_posix() for path in sorted(BUILT.rglob("*.html")))
    return [path for path in found if not path.startswith(("_modules/", "_static/"))]


class Links(HTMLParser):
    """What a page links to, what it loads, and the anchors that it offers."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = set(), set(), {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        elif tag in ("img", "script", "link", "source", "video", "iframe"):
            self.loads |= {values[key] for key in ("src", "href") if values.get(key)}


@pytest.fixture(scope="module")
def parsed():
    return {path: Links(BUILT / path) for path in pages()}


def test_links_within_the_pages_lead_somewhere(parsed):
    broken = []
    known = dict(parsed)
    for path, page in parsed.items():
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), unquote(parts.path)))
            target = path if not parts.path else target
            if not (BUILT / target).is_file():
                broken.append(f"{path}: {link}")
                continue
            anchor = unquote(parts.fragment.partition(":~:")[0])  # the rest points to a text
            if target.endswith(".html") and anchor:
                if target not in known:
                    known[target] = Links(BUILT / target)
                if anchor not in known[target].anchors:
                    broken.append(f"{path}: {link}")
    assert not broken


def test_pages_load_nothing_from_elsewhere(parsed):
    assert not {link for page in parsed.values() for link in page.loads if urlsplit(link).netloc}


def test_pages_of_the_gallery_have_pictures_of_their_own():
    """Fourteen at least; the one about first principles has none where its data are absent."""
    pictured = 0
    for example in sorted((ROOT / "examples").glob("plot_*.py")):
        page = (BUILT / "gallery" / f"{example.stem}.html").read_text()
        found = re.search(rf"<(img|source)[^>]+sphx_glr_{example.stem}_\d+\.", page)
        assert found or "nothing to show" in page, example.name
        assert list((BUILT / "_images").glob(f"sphx_glr_{example.stem}_thumb.*")), example.name
        pictured += bool(found)
    assert pictured >= 14


class Server(SimpleHTTPRequestHandler):
    """The pages with a watcher in each, the page that opens them, and an ear for its report."""

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if path == "/browse.html":
            self.answer((ROOT / "tests" / "browse.html").read_bytes())
        elif path == "/pages.json":
            self.answer(json.dumps([f"/{page}" for page in pages()]).encode())
        elif path.endswith(".html") and (BUILT / path[1:]).is_file():
            content = (BUILT / path[1:]).read_bytes()
            self.answer(content.replace(b"<head>", b"<head>" + WATCH, 1))
        else:
            super().do_GET()

    def do_POST(self):
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(b"")
        self.server.reported.set()

    def answer(self, content):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the browser says of each page."""
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(BUILT)))
    server.reported = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = subprocess.Popen(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--window-size=1500,1100",
            f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
            f"http://127.0.0.1:{server.server_port}/browse.html",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert server.reported.wait(900), "the browser did not come to the end of the pages"
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        server.server_close()
    assert [report["path"][1:] for report in server.report] == pages()
    return server.report


def test_pages_load_without_errors(seen):
    assert not [(report["path"], report["errors"]) for report in seen if report["errors"]]


def test_all_images_load(seen):
    assert sum(report["pictures"] for report in seen) > 40
    assert not [(report["path"], report["images"]) for report in seen if report["images"]]


def test_no_page_is_wider_than_its_window(seen):
    """Neither on a desktop nor on a phone: wide tables and code scroll inside themselves."""
    assert not [(report["path"], report["overflow"]) for report in seen if report["overflow"]]
