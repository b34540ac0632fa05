"""A sweep's report.html: one self-contained page."""

import base64
from collections.abc import Sequence
from pathlib import Path

import jinja2

from caejax.report.read import read_json
from caejax.writers import write_atomically

CAPTIONS = {
    "checkerboard": "Test images, and below what each decoder makes of a constant "
    "code: it ought to be flat.",
    "dc_ripple_steps": "DC ripple while training: mean and range over all runs.",
    "residual_spectrum": "Mean power spectrum of the test residuals. Rings mark the "
    "frequencies at which only a pattern of that period can put a peak.",
    "phase_means": "Mean test residual of every phase of the longest period: without "
    "a checkerboard they are alike.",
    "gallery": "Flat colours and gradients, what each model makes of them, and the "
    "ripple in that: its linear output without the trend.",
    "noise_matrix": "PSNR of models trained at one noise level and tested at another, "
    "mean over all their other settings.",
}
_CAPTION = "Mean over seeds; bars are their range."


def write(
    workdir: Path,
    figures: Sequence[str],
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
) -> None:
    """Writes report.html.

    Args:
      workdir: the sweep's folder.
      figures: names of PNG files in its figures folder.
      header, lines: the table.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("page.html.jinja").render(
        title=workdir.resolve().name,
        figures=[_figure(workdir, name) for name in figures],
        header=header,
        lines=lines,
        environment=read_json(workdir / "environment.json"),
        config=(workdir / "config.json").read_text(),
    )
    write_atomically(workdir / "report.html", text)


def _figure(workdir, name):
    png = (workdir / "figures" / f"{name}.png").read_bytes()
    caption = CAPTIONS.get(name, _CAPTION)
    return {"name": name, "caption": caption, "png": base64.b64encode(png).decode()}
