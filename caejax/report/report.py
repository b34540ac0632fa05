"""Draws everything anew for a run's or a sweep's folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from caejax.errors import CaejaxError
from caejax.files.atomic import write_atomically
from caejax.files.locks import FILES_LOCK, holding
from caejax.files.paths import Written, expand
from caejax.report import figures, leads, page, patterns, references, tables
from caejax.report.denoisers import denoisers
from caejax.report.read import is_sweep, read_run, read_sweep
from caejax.report.settings import setting_of, settings_of
from caejax.report.style import NARROW, PAGE, paper_style, save, to_png
from caejax.terminal.lines import tell

Recipe = Callable[..., Figure | None]  # of a figure, given its width


def report(workdir: Written) -> None:
    """Makes figures, tables and pages from the folder's files alone.

    Raises:
      CaejaxError: the folder holds no run, or one that is not finished.
    """
    workdir = expand(workdir, "workdir")
    draw = _report_sweep if is_sweep(workdir) else _report_run
    with holding(workdir / FILES_LOCK), paper_style():
        draw(workdir)


def _report_run(workdir):
    run = read_run(workdir)
    recipes = {
        "reconstructions": partial(figures.reconstructions, run),
        "curves": partial(figures.curves, run),
        **_patterns({"": run}, setting_of(run.config)),
        **_noise_matrix(run.levels, setting_of(run.config)),
    }
    page.write_run(workdir, run, _draw(recipes, workdir))
    tables.print_essentials(run.summary, str(workdir / "summary.json"))
    references.print_references(run.references)
    tell(f"{workdir / 'report.html'} shows it all")


def _noise_matrix(levels, setting):
    if not levels:
        return {}
    return {"noise_matrix": partial(references.noise_matrix, levels, setting)}


def _draw(recipes: dict[str, Recipe], workdir: Path) -> dict[str, bytes]:
    """Draws and saves figures; gives what a telephone shows of each, as PNG."""
    narrow = {}
    for name, draw in recipes.items():
        figure = draw(width=PAGE)
        if figure is None:
            continue
        wide = figure.get_figwidth() > NARROW
        save(figure, workdir / "figures" / name, formats=("png", "pdf"))
        narrow[name] = to_png(draw(width=NARROW)) if wide else b""
    return narrow


def _patterns(runs, setting):
    return {
        "residual_spectrum": partial(patterns.spectra, runs, setting),
        "phase_means": partial(patterns.phase_means, runs, setting),
        "gallery": partial(patterns.gallery, runs, setting),
    }


def _report_sweep(workdir):
    sweep = read_sweep(workdir)
    if not sweep.runs:
        why = next(iter(sweep.left_out.values()), f"{workdir / 'results.csv'} says why")
        raise CaejaxError(
            f"no run of {workdir} is finished, so there is nothing to report; {why}"
        )
    compared = figures.comparable_runs(sweep)
    recipes = {
        "denoisers": partial(denoisers, sweep),
        "checkerboard": partial(figures.decoder_grid, sweep),
    }
    for field in figures.numeric_fields(sweep):
        name = f"quality_{field.split('.')[-1]}"
        recipes[name] = partial(figures.against, sweep, field)
    recipes["dc_ripple_steps"] = partial(figures.ripple_steps, sweep)
    recipes |= _patterns(compared, figures.setting_of_compared(sweep, compared))
    recipes |= _noise_matrix(sweep.levels, settings_of(sweep))
    _write_tables(sweep, workdir / "tables")
    page.write_sweep(workdir, sweep, _draw(recipes, workdir))
    tables.print_sweep(sweep)
    tell(f"{workdir / 'report.html'} shows it all")


def _write_tables(sweep, folder):
    folder.mkdir(exist_ok=True)
    best = leads.leads_table(sweep)
    narrow = tables.sweep_table(sweep, tables.paper_columns())
    written = {
        "results.md": tables.to_markdown(*tables.sweep_table(sweep)),
        "results.tex": tables.to_latex(*narrow),
    }
    if best[1]:
        written["best.md"] = tables.to_markdown(*best)
        written["best.tex"] = tables.to_latex(*best)
    for name, text in written.items():
        write_atomically(folder / name, text)
