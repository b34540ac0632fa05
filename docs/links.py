"""Checks that all links within a built site lead somewhere: `links.py FOLDER`."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Collects what the tag links to, and its anchor."""
        found = dict(attrs)
        for name in ("href", "src"):
            # What a browser is told about the page itself is no link to follow.
            if found.get(name) and (tag != "link" or "stylesheet" in found["rel"]):
                self.links.append(found[name])
        self.anchors |= {found[x] for x in ("id", "name") if found.get(x)}


def broken(folder: Path) -> list[str]:
    """A line for each link that leads nowhere; other hosts are not asked."""
    pages = {path: _Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}
    lines = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
                target = target / "index.html" if target.is_dir() else target
            known = pages.get(target)
            if not target.exists():
                lines.append(f"{path.relative_to(folder)}: no {link}")
            elif known and unquote(parts.fragment) not in {"", *known.anchors}:
                lines.append(f"{path.relative_to(folder)}: no anchor {link}")
    return lines


if __name__ == "__main__":
    found = broken(Path(sys.argv[1]).resolve())
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)
