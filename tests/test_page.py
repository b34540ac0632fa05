"""report.html of a made-up sweep, in a real browser."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.browser import chromium
from helpers.finished import write, write_run

from caejax.config.ids import setting_id
from caejax.files.csv_files import write_csv
from caejax.report.read import read_run

ROOT = Path(__file__).parents[1]
DECODERS = {"deconv_k3": -20.0, "nearest_k3": -130.0, "shuffle_k3": -8.0}
LEVELS, SEEDS = (0.1, 0.5), (0, 1)
VIEWS = ("Overview", "Pattern on constant codes", "By run")

# What the command imports, its own modules and those of JAX.
PROGRAM = """
import sys
from caejax import main
sys.argv = ["caejax", "--mode=report", "--workdir=WORKDIR"]
try:
    main.run()
except SystemExit as stop:
    assert not stop.code, stop.code
print(*sys.modules)
"""


REACHABLE = """() => {
  const all = 'a[href], button, input, select:enabled, summary, [tabindex="0"]';
  window.reachable = [...document.querySelectorAll(all)].filter(
    (e) => e.checkVisibility());
  return window.reachable.length;
}"""
FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  const middle = (low, high, end) => Math.max(1, Math.min(end - 2, (low + high) / 2));
  const on = document.elementFromPoint(
    middle(box.left, box.right, innerWidth), middle(box.top, box.bottom, innerHeight));
  const seen = e === document.body || (style.outlineStyle !== 'none' &&
    (e.contains(on) || on?.contains(e)));
  return [window.reachable.indexOf(e), seen];
}"""


def write_sweep(workdir):
    """Files as a sweep leaves them; the last run failed."""
    config = {
        "seed": 0,
        "corruption": {"name": "gaussian", "level": 0.5},
        "model": {"encoder": "conv", "upsampling": "nearest_k3", "widths": [8, 16]},
    }
    axes = {
        "decoder": {"field": "model.upsampling", "values": list(DECODERS)},
        "noise": {"field": "corruption.level", "values": LEVELS},
        "seed": {"field": "seed", "values": SEEDS},
    }
    write(workdir / "config.json", config | {"sweep": axes})
    command = "caejax run --config=configs/seeds/b_basic.py --workdir=runs/<made-up>"
    environment = {"time": "2026-01-02T03:04:05+00:00", "command": command}
    environment["directory"] = str(workdir)
    write(workdir / "environment.json", environment | {"packages": {"jax": "0.10"}})
    rows = []
    points = itertools.product(DECODERS, LEVELS, SEEDS)
    for i, (decoder, level, seed) in enumerate(points):
        # Means 9 to 12: as text, 10 comes before 9.
        psnr = {"deconv_k3": 9, "nearest_k3": 11, "shuffle_k3": 10}[decoder]
        ripples = {f"test/dc_ripple_db_s{p}": DECODERS[decoder] for p in (2, 4, 8)}
        figures = {"test/psnr": psnr - level + seed / 4, "test/ssim": 0.4, **ripples}
        run = workdir / "runs" / f"run{i:02}"
        corruption = {"name": "gaussian", "level": level}
        changed = {"model": {"upsampling": decoder}, "corruption": corruption}
        write(run / "config.json", config | changed | {"seed": seed})
        write(run / "summary.json", figures)
        write_run(run, figures)
        row = {"run_id": run.name, "model.upsampling": decoder}
        row |= {"corruption.level": level, "seed": seed, "status": "done"}
        rows.append(row | figures)
    rows[-1] = dict(itertools.islice(rows[-1].items(), 4)) | {
        "status": "failed",
        "error": "the loss is not finite at step 3; <b>lower</b> the learning rate",
    }
    write_csv(workdir / "results.csv", rows)
    references = []
    for level, seed in itertools.product(LEVELS, SEEDS):
        row = next(
            r for r in rows if (r["corruption.level"], r["seed"]) == (level, seed)
        )
        setting = setting_id(read_run(workdir / "runs" / row["run_id"]).config)
        about = {"corruption.name": "gaussian", "corruption.level": level, "seed": seed}
        psnr = {"pca": 14.0 if level == 0.5 else 8.0, "median": 7.0}
        references += [
            {"reference": name, "setting": setting, **about, "images": 4}
            | {"test_images": 4, "test/psnr": x, "test/ssim": 0.5}
            for name, x in psnr.items()
        ]
    write_csv(workdir / "references.csv", references)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A sweep's folder with its report, and the modules that were imported for it."""
    workdir = tmp_path_factory.mktemp("page") / "my sweep"
    write_sweep(workdir)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("WORKDIR", str(workdir))],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return workdir, set(done.stdout.splitlines()[-1].split())


def test_the_command_of_a_run_is_one_of_a_shell(reported):
    folder = reported[0]
    command = f"caejax diagnose &#39;{folder}/runs/run00&#39;"
    assert f"<code>{command}</code>" in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; tests are skipped without one."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def opened(reported, browser):
    """The page, and lists of its requests and complaints."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((reported[0] / "report.html").as_uri())
    return page, requests, complaints


@pytest.fixture
def page(opened):
    """The page as it is when it has been opened."""
    opened[0].set_viewport_size({"width": 1280, "height": 900})
    opened[0].reload()
    return opened[0]


def column(page, name, view="Overview"):
    """Texts of a column's shown cells."""
    number = VIEWS.index(view) + 1
    table = page.locator(f"#view-{number} table")
    names = [text.strip() for text in table.locator("th").all_inner_texts()]
    names = [text.split("\n")[0].strip(" ↕↑↓") for text in names]
    cells = table.locator(f"tbody tr:visible td:nth-child({names.index(name) + 1})")
    return [(text.split() or [""])[0] for text in cells.all_inner_texts()]


def test_a_report_does_not_import_jax(reported):
    _, modules = reported
    assert "caejax.report.page" in modules
    assert "caejax.training" not in modules
    assert "jax" not in modules


def test_tables_are_written_for_papers(reported):
    folder = reported[0] / "tables"
    names = {f"{n}.{kind}" for n in ("results", "best") for kind in ("md", "tex")}
    assert {path.name for path in folder.iterdir()} == names
    text = (folder / "results.tex").read_text()
    assert r"autoencoder & nearest\_k3 & 0.1 & 2 & 11.03" in text
    assert r"pca &  & 0.5 & 2 & 14.00" in text  # is of no decoder


def test_the_page_says_it_all(page):
    text = page.locator("body").inner_text()
    for words in (
        "Which upsampling should this decoder use, at each noise level, and how",
        "2 seeds are too few to tell which decoder is best.\n",
        "In these 2 seeds PCA lies above all at 1 of 2.",
        "What to do next",
        "Until a model beats it, PCA is the better choice",
        "With fewer than 3 seeds there is no interval",
        "Highest mean PSNR of 2 seeds\n",
        "Every pixel doubled, then a convolution 3 x 3",
        "Gaussian noise of standard deviation 0.1 or 0.5",
        "@software{caejax,",
        "nearest_k3 has the highest mean PSNR of 2 seeds: 11.03 dB at",
        "Free of checkerboards on constant codes: nearest_k3",
        "deconv_k3 draws −20 dBFS and shuffle_k3 −8 dBFS over their runs",
        "11 of 12",
        "seeds a setting\n1 to 2",
        "This is a first look: 1 of 12 runs has failed",
        "First of all finish the sweep: 1 of 12 runs has failed; mend what stands",
        "step 3; <b>lower</b> the learning rate",
        "caejax run --config=seeds/b_basic '--workdir=runs/<made-up>'",
    ):
        assert words in text


def test_nothing_is_fetched_or_complained_of(opened, page):
    _, requests, complaints = opened
    assert complaints == []
    assert {url.split(":")[0] for url in requests} <= {"file", "data"}
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) >= 2 + 4 * 11
    assert page.locator("a[download]").count() > 4  # inside of the page, all of them
    assert page.locator("a[download]:not([href^='data:'])").count() == 0
    assert min(widths) > 0


def test_columns_are_sorted_by_number_and_name(page):
    head = page.locator("#view-1 th", has_text="PSNR (dB)").first
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"  # the best is on top
    shown = ["7.00", "7.00", "8.00", "8.62", "9.03", "9.50"]
    shown += ["10.03", "10.62", "11.03", "14.00"]
    assert column(page, "PSNR (dB)") == shown[::-1]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, "PSNR (dB)") == shown
    ripple = page.locator("#view-1 th", has_text="ripple s8 (dBFS)").first
    ripple.locator("button").click()  # of this, less is better
    assert column(page, "ripple s8 (dBFS)")[0] == "-130.0"
    page.locator("#view-1 th button").nth(1).click()
    assert column(page, "upsampling") == [*sorted(2 * list(DECODERS)), *[""] * 4]
    assert head.get_attribute("aria-sort") == "none"


def test_a_run_without_a_figure_is_sorted_last(page):
    page.get_by_role("button", name="By run").click()
    button = page.locator("#view-3 th", has_text="PSNR (dB)").locator("button")
    for _ in range(2):
        button.click()
        assert page.locator("#view-3 tbody tr").last.inner_text().count("failed") == 1


def test_rows_are_filtered_and_counted(page):
    count = page.locator("#count")
    assert count.inner_text() == "10 of 10 rows"
    page.get_by_label("Filter").fill("NEAREST 0.5")
    assert count.inner_text() == "1 of 10 rows"
    page.get_by_label("Filter").fill("")
    page.get_by_label("noise level").select_option("0.1")
    assert column(page, "noise level") == ["0.1"] * 5
    assert page.get_by_label("seed").is_disabled()
    assert page.get_by_label("seed").inner_text().split("\n")[0] == "see By run"
    page.get_by_role("button", name="By run").click()
    assert count.inner_text() == "6 of 12 rows"
    page.get_by_label("seed").select_option("1")
    assert column(page, "seed", "By run") == ["1"] * 3
    assert count.get_attribute("aria-live") == "polite"


@pytest.mark.parametrize(
    ("typed", "rows"),
    [
        ("0.5", 5),  # in the column of noise levels, and not in 9.50
        ("0", 0),
        ("10.62", 1),  # is in no column that was set
        ("1", 0),
        ("3", 0),  # is a part of names only
        ("psnr>10", 4),
        ("psnr >= 11.03", 2),
        ("psnr>10 level=0.5", 2),
        ("ripple<-100 0.1", 1),
        ("autoencoder 0.1", 3),
        ("upsampling=nearest 0.1", 1),
        ("noise level=0.5", 5),  # names of several words
        ("psnr>10 ripple s8 < -100 0.1", 1),
        ("psnr (dB) > +10", 4),
        ("ripple<1,000", 6),  # numbers as the page writes them
        ("ripple<\u2212100", 2),
    ],
)
def test_numbers_are_matched_whole_and_in_their_column(page, typed, rows):
    page.get_by_label("Filter").fill(typed)
    assert page.locator("#count").inner_text() == f"{rows} of 10 rows"


def test_a_filter_that_cannot_be_held_against_a_table_says_why(page):
    said = page.locator("#count")
    page.get_by_label("Filter").fill("psnr>abc")
    assert said.inner_text() == "10 of 10 rows; abc is no number"
    page.get_by_label("Filter").fill("psnr>")
    assert said.inner_text() == "10 of 10 rows; psnr> lacks a number"
    page.get_by_label("Filter").fill("psnr>10")
    page.get_by_role("button", name="Pattern on constant codes").click()
    why = "this table has no column psnr; see Overview, By run"
    assert said.inner_text() == f"0 of 10 rows; {why}"
    page.get_by_label("Filter").fill("nothing<1")
    assert said.inner_text().endswith("no column nothing; nor has any other")


def test_references_are_in_a_column_of_their_own(page):
    assert set(column(page, "estimator")) == {"autoencoder", "pca", "median"}
    decoders = column(page, "upsampling")
    assert decoders[-4:] == [""] * 4
    assert set(decoders[:-4]) == set(DECODERS)


def test_the_citation_has_a_line_a_field(page):
    lines = page.locator("#bibtex").inner_text().splitlines()
    assert lines[0] == "@software{caejax,"
    assert "  year = {2026}" in [line.rstrip(",") for line in lines]


def test_pictures_come_before_tables_and_charts(page):
    order = page.evaluate("[...document.querySelectorAll('section')].map(s => s.id)")
    assert order[:4] == ["pictures", "compared", "results", "figures"]
    assert page.locator("#pictures figure").first.get_attribute("id") == (
        "figure-checkerboard"
    )


def test_no_table_is_cut_off(page):
    for name in VIEWS:
        page.get_by_role("button", name=name, exact=True).click()
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            cut = page.evaluate(
                "[...document.querySelectorAll('.scroll')]"
                ".filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"
            )
            assert cut == [], (name, width)


def test_tables_of_long_values_take_the_room_beside_the_text(page):
    page.set_viewport_size({"width": 1280, "height": 900})
    wide = page.evaluate(
        """() => {
          for (const cell of document.querySelectorAll('#view-1 td.number')) {
            cell.innerHTML = '<div style="width: 9.5rem">[-200.0, -145.1]</div>';
          }
          const shown = document.querySelector('#view-1 .scroll');
          return [shown.scrollWidth - shown.clientWidth, shown.clientWidth,
            shown.parentNode.clientWidth,
            document.documentElement.scrollWidth - innerWidth];
        }"""
    )
    assert wide[0] == 0
    assert wide[1] > wide[2]  # which it would not have had room for
    assert wide[3] <= 0


def test_a_filter_leaves_the_panels_of_its_runs(page):
    panels = page.locator(".panel:visible")
    every = panels.count()
    page.locator("#filter").fill("shuffle_k3")
    page.get_by_role("button", name="By run").click()
    rows = page.locator("[data-filtered]:visible tbody tr:visible a")
    assert panels.count() == rows.count() > 0
    assert panels.count() < every
    page.locator("#filter").fill("")
    assert panels.count() == every


def test_the_keyboard_reaches_and_works_everything(page):
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.outerHTML.slice(0, 90)"))
        if "PSNR (dB)" in reached[-1] and "view-1" in page.evaluate(
            "document.activeElement.closest('.view')?.id ?? ''"
        ):
            break
    for control in ("skip", "#results", 'id="filter"', "data-field", "By run"):
        assert any(control in text for text in reached), control
    page.keyboard.press("Enter")
    assert column(page, "PSNR (dB)")[0] == "14.00"


def test_whatever_is_reached_by_keyboard_shows_it(browser, reported):
    """Nothing that can be clicked is left out, hidden, or without an outline."""
    for width in (390, 1280):
        page = browser.new_page(
            viewport={"width": width, "height": 900}, reduced_motion="reduce"
        )
        page.goto((reported[0] / "report.html").as_uri())
        count = page.evaluate(REACHABLE)
        reached = set()
        for _ in range(count + 1):
            page.keyboard.press("Tab")
            place, seen = page.evaluate(FOCUSED)
            reached.add(place)
            assert seen, page.evaluate("document.activeElement.outerHTML")
        assert reached >= set(range(count))
        page.close()


def test_flags_are_not_broken_at_their_hyphens(page):
    page.set_viewport_size({"width": 390, "height": 844})
    heights = page.evaluate(
        "[...document.querySelectorAll('.answer .whole, .command .whole')].map(flag =>"
        " [flag.textContent, flag.getClientRects().length])"
    )
    assert {"--config", "--workdir"} <= {flag for flag, _ in heights}
    assert {lines for _, lines in heights} == {1}


def test_links_to_runs_open_their_panels(page):
    page.get_by_role("button", name="By run").click()
    page.get_by_role("link", name="run03").click()
    panel = page.locator("#run-run03")
    panel.locator("polyline").first.wait_for()
    page.get_by_role("button", name="Overview").click()
    row = page.locator("#view-1 tbody tr", has_text="deconv_k3").nth(0)
    row.get_by_role("link", name="1", exact=True).click()
    page.locator("#run-run01 polyline").first.wait_for()
    panel.locator("polyline").first.wait_for()
    assert panel.evaluate("panel => panel.open")
    title = panel.locator("summary").first.inner_text()
    assert "deconv_k3, noise level 0.5, seed 1" in title
    assert "run03" in title  # which is what other commands call it


def test_links_open_panels_that_were_closed_or_filtered_out(page):
    link = page.locator("#view-1 a[href='#run-run01']")
    panel = page.locator("#run-run01")
    link.click()
    panel.locator("summary").first.click()
    assert not panel.evaluate("panel => panel.open")
    link.click()
    assert panel.evaluate("panel => panel.open")
    page.get_by_role("button", name="By run").click()
    page.get_by_label("seed").select_option("0")
    assert not panel.is_visible()
    page.get_by_role("button", name="Overview").click()
    link.click()
    assert panel.is_visible()


def test_paper_is_white_and_holds_whole_tables(browser, reported):
    """A4 with its margins, printed by somebody whose screen is dark."""
    page = browser.new_page(
        viewport={"width": 718, "height": 1000}, color_scheme="dark"
    )
    page.goto((reported[0] / "report.html").as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    for name in VIEWS:
        page.evaluate(
            "name => [...document.querySelectorAll('.views button')]"
            ".find(e => e.textContent === name).click()",
            name,
        )
        assert page.evaluate("document.documentElement.scrollWidth") == 718, name
    page.close()


def test_swatches_of_any_colour_are_seen_in_the_dark(browser, reported):
    page = browser.new_page(color_scheme="dark")
    page.goto((reported[0] / "report.html").as_uri())
    borders = page.evaluate(
        "[...document.querySelectorAll('.swatch')].map(e =>"
        " getComputedStyle(e).borderTopColor)"
    )
    lightness = [sum(map(int, re.findall(r"\d+", color)[:3])) / 3 for color in borders]
    assert min(lightness) > 120  # of 255; the page has 24
    page.close()


def test_pictures_of_runs_have_most_of_their_row(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("document.querySelectorAll('.panel').forEach(d => d.open = true)")
    shares = page.evaluate(
        "[...document.querySelectorAll('.strips img')].map(e =>"
        " e.clientWidth / e.closest('.strips').clientWidth)"
    )
    assert min(shares) > 0.6


def test_nothing_overflows_on_a_telephone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()  # waits for the pictures of this width
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    widths = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths == [390, 390]
    # What is shown of figures was drawn for it: no letter is smaller than 8 pixels.
    sizes = page.evaluate(
        "[...document.querySelectorAll('.card img')]"
        ".map(e => [e.clientWidth, e.naturalWidth])"
    )
    points_at_200_dpi = 6  # of the smallest letters
    for shown, natural in sizes:
        assert shown / natural * points_at_200_dpi / 72 * 200 >= 7
