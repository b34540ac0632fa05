"""Draws everything anew for a run's or a sweep's folder."""

from caejax.errors import CaejaxError
from caejax.files.atomic import write_atomically
from caejax.files.locks import FILES_LOCK, holding
from caejax.files.paths import Written, expand
from caejax.report import figures, findings, page, patterns, references, tables
from caejax.report.denoisers import denoisers
from caejax.report.read import is_sweep, read_run, read_sweep
from caejax.report.style import paper_style, save
from caejax.terminal.lines import tell


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
    drawn = {
        "reconstructions": figures.reconstructions(run),
        "curves": figures.curves(run),
        **_patterns({"": run}),
        **_noise_matrix(run.levels),
    }
    _save(drawn, workdir)
    page.write_run(workdir, run, list(drawn))
    tables.print_essentials(run.summary, "summary.json")
    references.print_references(run.references)
    tell(f"{workdir / 'report.html'} shows it all")


def _noise_matrix(levels):
    return {"noise_matrix": references.noise_matrix(levels)} if levels else {}


def _save(drawn, workdir):
    for name, figure in drawn.items():
        save(figure, workdir / "figures" / name, formats=("png", "pdf"))


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
        why = next(iter(sweep.left_out.values()), f"{workdir / 'results.csv'} says why")
        raise CaejaxError(
            f"no run of {workdir} is finished, so there is nothing to report; {why}"
        )
    drawn = {"denoisers": denoisers(sweep), "checkerboard": figures.decoder_grid(sweep)}
    for field in figures.numeric_fields(sweep):
        drawn[f"quality_{field.split('.')[-1]}"] = figures.against(sweep, field)
    drawn["dc_ripple_steps"] = figures.ripple_steps(sweep)
    drawn |= _patterns(figures.comparable_runs(sweep))
    drawn |= _noise_matrix(sweep.levels)
    drawn = {name: figure for name, figure in drawn.items() if figure is not None}
    _save(drawn, workdir)
    _write_tables(sweep, workdir / "tables")
    page.write_sweep(workdir, sweep, list(drawn))
    tables.print_sweep(sweep)
    tell(f"{workdir / 'report.html'} shows it all")


def _write_tables(sweep, folder):
    folder.mkdir(exist_ok=True)
    best = findings.leads_table(sweep)
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
