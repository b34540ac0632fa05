"""How the site is built: `sphinx-build -W -b html docs docs/_build`."""

import re
import sys
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

import generate  # noqa: E402
from generate import flags  # noqa: E402

import caejax  # noqa: E402

project = "caejax"
author = "caejax developers"
project_copyright = "caejax developers, Apache-2.0"
release = version = caejax.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated/*.md", "generate", "notebooks"]
suppress_warnings = ["myst.header"]  # parts that are included begin at any level

html_theme = "furo"
html_title = "caejax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
highlight_language = "sh"  # of blocks that do not say theirs: commands
html_copy_source = html_show_sphinx = False
html_math_renderer = "mathml"

generate.write_all(DOCS / "_generated")


_MOVED = {
    r"(?:\.\./)+experiments/(\w+)/README\.md": r"/_generated/studies/\1.md",
    r"notebooks/tour\.ipynb": "/tour.md",
}


def _more(index):
    """Lines of the last table of contents: pages that no other has, then the end's."""
    listed = {*index.splitlines(), "index"}
    pages = sorted(path.stem for path in DOCS.glob("*.md"))
    return ["", *(page for page in pages if page not in listed), "changelog", ""]


def setup(app):
    """Formulas become MathML, which browsers show without a network.

    Flags stay whole. Links to what is in the repository, and is a page here, lead to
    that page.
    """

    def link(app, docname, source):
        for place, page in _MOVED.items():
            source[0] = re.sub(rf"\]\({place}\)", f"]({page})", source[0])
        if docname == "index":
            source[0] = source[0].replace("\nchangelog\n", "\n".join(_more(source[0])))

    def finish(app, pagename, templatename, context, doctree):
        context["body"] = flags.whole(context.get("body", ""))

    def visit(self, node):
        block = node.tagname == "math_block"
        mathml = tex2mathml(node.astext(), as_block=block)
        self.body.append(f'<div class="math">{mathml}</div>' if block else mathml)
        raise SkipNode

    app.connect("source-read", link)
    app.connect("html-page-context", finish)
    app.add_html_math_renderer("mathml", (visit, None), (visit, None))
