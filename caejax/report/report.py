"""Draws everything anew for a run's or a sweep's folder."""

from pathlib import Path

from caejax.errors import CaejaxError
from caejax.report import figures, page, patterns, references, tables
from caejax.report.read import is_sweep, read_run, read_sweep, read_table
from caejax.report.style import paper_style, save
from caejax.writers import write_atomically


def report(workdir: Path) -> None:
    """Makes figures, tables and pages from the folder's files alone.

    Raises:
      CaejaxError: the folder holds no run, or one that is not finished.
    """
    with paper_style():
        if is_sweep(workdir):
            _report_sweep(workdir)
        else:
            _report_run(workdir)


def _report_run(workdir):
    run = read_run(workdir)
    save(figures.reconstructions(run), workdir / "figures" / "reconstructions")
    save(figures.curves(run), workdir / "figures" / "curves")
    for name, figure in _patterns({"": run}).items():
        save(figure, workdir / "figures" / name)
    if levels := read_table(workdir / "levels.csv"):
        path = workdir / "figures" / "noise_matrix"
        save(references.noise_matrix(levels), path, formats=("png", "pdf"))
    tables.print_figures(run.summary)
    references.print_references(read_table(workdir / "references.csv"))
    print(f"figures in {workdir / 'figures'}")


def _patterns(runs):
    drawn = {
        "residual_spectrum": patterns.spectra(runs),
        "phase_means": patterns.phase_means(runs),
        "gallery": patterns.gallery(runs),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _report_sweep(workdir):
    sweep = read_sweep(workdir)
    if not sweep.runs:
        raise CaejaxError(
            f"no run of {workdir} is finished, so there is nothing to report; "
            f"{workdir / 'results.csv'} says why"
        )
    drawn = {
        "checkerboard": figures.decoder_grid(sweep),
        "dc_ripple_steps": figures.ripple_steps(sweep),
        **_patterns(figures.comparable_runs(sweep)),
    }
    for field in figures.numeric_fields(sweep):
        drawn[f"quality_{field.split('.')[-1]}"] = figures.against(sweep, field)
    if levels := read_table(workdir / "levels.csv"):
        drawn["noise_matrix"] = references.noise_matrix(levels)
    drawn = {name: figure for name, figure in drawn.items() if figure is not None}
    for name, figure in drawn.items():
        save(figure, workdir / "figures" / name, formats=("png", "pdf"))
    header, lines = tables.sweep_table(sweep)
    (workdir / "tables").mkdir(exist_ok=True)
    table = tables.to_markdown(header, lines)
    write_atomically(workdir / "tables" / "results.md", table)
    page.write(workdir, list(drawn), header, lines)
    tables.print_sweep(sweep)
    print(f"{workdir / 'report.html'} shows it all")
