"""How to cite caejax: an entry for BibTeX, from the package's own metadata."""

from importlib import metadata

from caejax import __version__

_TITLE = "caejax: denoising autoencoders and the checkerboards of their decoders"


def bibtex(year: str, version: str = __version__) -> str:
    """An entry for BibTeX.

    Args:
      year: the year of the work that is written up, four digits; "" for none.
      version: of caejax, that did the work.
    """
    fields = {"title": f"{{{_TITLE}}}", "version": f"{{{version}}}"}
    about = _metadata()
    if author := about.get("Author"):
        fields = {"author": f"{{{author}}}"} | fields
    if year:
        fields["year"] = f"{{{year}}}"
    if url := about.get("Home-page") or _address(about):
        fields["url"] = f"{{{url}}}"
    lines = [f"  {name} = {value}" for name, value in fields.items()]
    return "@software{caejax,\n" + ",\n".join(lines) + "\n}"


def _metadata():
    try:
        return metadata.metadata("caejax")
    except metadata.PackageNotFoundError:  # run from where it is, not installed
        return {}


def _address(about):
    """The first of the package's addresses, "Source, https://…" for instance."""
    lines = about.get_all("Project-URL") if hasattr(about, "get_all") else None
    return lines[0].split(", ")[-1] if lines else ""
