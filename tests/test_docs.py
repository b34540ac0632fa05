"""Documentation: what it says runs, and what is made of the code is of the code."""

import ast
import csv
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from helpers import blocks
from helpers.blocks import PAGES, ROOT, Block, Session, blocks_of
from helpers.browser import chromium

import caejax
from caejax.__main__ import SUBCOMMANDS
from caejax.config import default, field_names
from caejax.config.fields import described
from caejax.config.sections import MODELS
from caejax.corruptions import CORRUPTIONS
from caejax.data import SOURCES
from caejax.losses import LOSSES
from caejax.metrics.table import METRICS
from caejax.models.diagnosis import (
    clean_at_initialisation,
    clean_by_construction,
    kernel_ripple_db,
    phase_gains,
)
from caejax.models.kinds import UPSAMPLING, layer_filter
from caejax.sweep import executors
from caejax.training.run import few_steps

DOCS = ROOT / "docs"
# To run all that pages say takes minutes: a variable of the environment asks for it.
ALL = pytest.mark.skipif(
    "CAEJAX_DOCS" not in os.environ, reason="CAEJAX_DOCS=all runs every block"
)
# Tables that pages may add to.
TABLES = (CORRUPTIONS, METRICS, UPSAMPLING, executors.EXECUTORS)


@pytest.fixture(scope="module")
def generate():
    """What makes pages of the code, which lies beside them."""
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("generate")
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def flags(generate):
    return importlib.import_module("generate.flags")


@pytest.fixture(scope="module")
def links():
    spec = importlib.util.spec_from_file_location("links", DOCS / "links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tables_as_they_were():
    before = [dict(table) for table in TABLES]
    yield
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch, blocks.all_tiny(patch):
        blocks.make_world(folder)
    return folder


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks_of(page)],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_what_pages_say_is_there(page, tmp_path, monkeypatch):
    """Flags, fields, names of configs; code compiles."""
    blocks.write_sweep(tmp_path)
    monkeypatch.chdir(tmp_path)
    session = Session()
    for block in blocks_of(page):
        session.do(block._replace(why=block.why or "minutes"))


@ALL
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks_of(page)],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_what_pages_say_runs(page, world, tmp_path, monkeypatch, tables_as_they_were):
    blocks.place_world(world, tmp_path, page)
    monkeypatch.chdir(tmp_path)
    session = Session()
    with blocks.all_tiny(monkeypatch):
        for block in blocks_of(page):
            session.do(block)


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("experiments/*/README.md")), ids=lambda x: x.parent.name
)
def test_studies_are_called_as_they_can_be(page):
    """They take hours: their commands and flags have to be there."""
    session = Session()
    for block in blocks_of(page):
        session.do(block._replace(why="hours"))


def test_studies_begin_with_what_was_found():
    for page in ROOT.glob("experiments/*/README.md"):
        assert "In short" in page.read_text().split("```")[0], page


@ALL
def test_the_tour_runs(world, tmp_path, monkeypatch, generate):
    cells = generate.notebook.cells(DOCS / "notebooks/tour.ipynb")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "tour"}
    with blocks.all_tiny(monkeypatch):
        for i, (kind, text) in enumerate(cells):
            if kind == "code":
                exec(compile(text, f"cell {i}", "exec"), names)
    plt.close("all")
    assert sum(kind == "code" for kind, _ in cells) > 4


def test_the_tour_is_kept_without_outputs():
    for cell in json.loads((DOCS / "notebooks/tour.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_the_tour_shows_what_its_code_gave(tmp_path, generate):
    """What was kept is of the code as it is; else the page is not made."""
    page = generate.notebook.page()
    assert re.search(r"\n```\n\n```text\nnoisy +13\.\d+ dB\n", page)
    assert page.count("](notebooks/given/") == 2
    for name in re.findall(r"notebooks/given/\d+\.png", page):
        assert (DOCS / name).read_bytes().startswith(b"\x89PNG")
    text = generate.notebook.TOUR.read_text()
    other = tmp_path / "tour.ipynb"
    other.write_text(text.replace("deconv_k4", "deconv_k3"))
    with pytest.raises(ValueError, match=r"tour\.ipynb has changed"):
        generate.notebook.page(other)


def test_blocks_are_found_with_their_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "text\n```\na && b # c\nd \\\n  e\n```\n<!-- needs: torch -->\n```python\nx\n"
        "```\n```{include} y\n```\n<!-- only checked: hours -->\n\n```sh\nexec f\n```\n"
    )
    commands, python, hours = blocks_of(page)
    assert blocks.commands_in(commands) == [["a"], ["b"], ["d", "e"]]
    assert (commands.line, python.needs, python.why) == (3, "torch", "")
    assert (hours.language, hours.why) == ("sh", "hours")
    assert blocks.commands_in(hours) == [["f"]]


def test_what_pages_show_was_printed():
    told = "note\n  a   12.5 dB\n──────\nb: -1e-3 and c, period 2\nend\n"
    assert not blocks.not_printed("a 3 dB\n...\nb: 7 and c, period 4\n", told)
    assert blocks.not_printed("b: 7 and c, period 4\na 3 dB\n", told) == ["a 0 dB"]
    assert blocks.not_printed("a 3 B\n", told) == ["a 0 B"]
    assert not blocks.not_printed("a 3 dB\nb: 7 and\nc, period 4\nend\n", told)
    assert blocks.not_printed("b: 7 and\nperiod 4\n", told) == ["b: 0 and"]


@pytest.mark.parametrize(
    "text",
    [
        "caejax run --confg=quickstart --workdir=x",
        "caejax run --config=quickstarts --workdir=x",
        "caejax run --config=quickstart --config.train.epoch=1",
        "caejax train --config=quickstart",
        "make",
        'pip install ".[no-such]"',
    ],
)
def test_what_is_only_checked_can_fail(text, capsys):
    block = Block(ROOT / "README.md", 1, "", text.replace("no-such", "nosuch"), "hours")
    with pytest.raises((AssertionError, caejax.CaejaxError)):
        Session().do(block)


def test_the_readme_is_short_and_its_links_lead_somewhere():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
    for page in (*PAGES, *ROOT.glob("*.md"), *ROOT.glob("experiments/*/README.md")):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path = target.split("#")[0]
            made = target.startswith("http") or "_generated" in path
            if path and not made:
                assert (page.parent / path).exists(), f"{page}: {target}"


def test_pictures_are_described_and_alike_wherever_they_are():
    found = {}
    for page in (*PAGES, *ROOT.glob("*.md"), *ROOT.glob("experiments/*/README.md")):
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text()):
            path = re.sub(r".*_generated/studies/", f"{ROOT}/experiments/", target)
            words = " ".join(alt.split())
            found.setdefault((page.parent / path).resolve(), set()).add(words)
            assert len(words.split()) >= 4, f"{page}: {words}"
    assert len(found) > 20
    for path, said in found.items():
        assert len(said) == 1, f"{path}: {said}"


def _configs_in(page):
    """The configs that a page's Python blocks make or train."""
    for block in blocks_of(page):
        names = {"caejax": caejax}
        if block.language != "python":
            continue
        if "def get_config()" in block.text:
            exec(block.text, names)
            yield names["get_config"]()
        elif "caejax.train(config" in block.text:
            made = re.findall(
                r"^config(?: =|\.(?:data|train)\.).*", block.text, re.MULTILINE
            )
            exec("\n".join(made), names)
            yield names["config"]


def test_what_pages_train_takes_enough_steps_to_learn():
    found = [(page, config) for page in PAGES for config in _configs_in(page)]
    assert {"README.md", "tutorial.md", "apply.md"} <= {page.name for page, _ in found}
    for page, config in found:
        if config.data.source == "glyphs":
            images = round(config.data.train_size * (1 - config.data.val_fraction))
            assert not few_steps(config, images), page


# Wide bars, accents with an index and those of capitals come out wrong, and fonts lack
# the sign.
NOT_DRAWN = re.compile(r">_<|<munderover>\s*<mi>|<mover[^>]*>\s*<mi>[A-Z]|⧵")


def test_formulas_can_be_drawn():
    drawn = pytest.importorskip("docutils.utils.math.latex2mathml")
    for page in PAGES:
        prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
        for sign, text in re.findall(r"(\$\$?)([^$]+)\1", prose):
            formula = drawn.tex2mathml(text, as_block=sign == "$$")
            assert not NOT_DRAWN.search(formula), text


def test_commands_have_one_spelling():
    """`caejax NAME`, but in the README's first command, and where it says so once."""
    studies = ROOT.glob("experiments/*/README.md")
    said = {
        page.relative_to(ROOT).as_posix(): page.read_text().count("python -m caejax")
        for page in (*PAGES, ROOT / "MODEL_CARD.md", *studies)
    }
    found = {page: count for page, count in said.items() if count}
    commands = "docs/reference/commands.md"
    assert found == {"README.md": 1, "docs/tutorial.md": 1, commands: 2}


def test_the_readme_quotes_the_study():
    """Rows of its table, rounded, are those of the study's results at equal width."""
    results = (ROOT / "experiments/checkerboard/results.md").read_text()
    rows = re.findall(r"\n\| `(\w+)`: .* \| (.*) \| (.*) \| (.*) \| (.*) \|", README())
    assert len(rows) == 7
    for name, *cells in rows:
        for data, psnr, ripple in zip(
            ("MNIST", "BSDS500"), cells[:2], cells[2:], strict=True
        ):
            part = results.split(f"## {data}, as many parameters\n")[1]
            all_of, differences = part.split("PSNR (dB), decoder minus nearest_k3")[:2]
            row = re.search(rf"\| {name} \| .*", all_of).group().split(" | ")
            drawn = numbers(row[5])[0]
            assert ripple == "none" if drawn < -100 else [drawn] == numbers(ripple)
            lead = re.search(rf"\| {name} \| .*", differences)
            expected = row[3] if name == "nearest_k3" else lead.group().split(" | ")[2]
            found = numbers(psnr)
            assert len(found) in (1, 3)
            for a, b in zip(found, numbers(expected), strict=False):
                assert abs(a - b) < 0.0051


def test_the_readme_says_what_training_did_and_who_led():
    """Means over ten seeds at equal width, from the study's rows."""
    folder = ROOT / "experiments/checkerboard"
    said = " ".join(README().split())
    grew = {data: _growth(folder / f"primary_{data}_steps.csv") for data in WORDS}
    assert {len(kinds) for kinds in grew.values()} == {6}
    for data, words in WORDS.items():
        low, high = min(grew[data].values()), max(grew[data].values())
        assert words.format(low, high) in said
    psnr = {}
    for row in _rows(folder / "primary_mnist.csv"):
        psnr.setdefault(row["model.upsampling"], []).append(float(row["test/psnr"]))
    leads = [np.subtract(values, psnr["nearest_k3"]) for values in psnr.values()]
    half = [2.262 * lead.std(ddof=1) / 10**0.5 for lead in leads]  # Student's t
    ahead = [x.mean() for x, h in zip(leads, half, strict=True) if x.mean() > h]
    assert len(ahead) == 5
    assert f"five led on digits, by {min(ahead):.1f} to {max(ahead):.1f} dB" in said


def test_studies_say_whose_codes_the_ripple_grew_on():
    """The least and the largest mean change, with Student's t over ten seeds."""
    pages = ("docs/science/checkerboards.md", "experiments/checkerboard/README.md")
    texts = [re.sub(r"\s+", " ", (ROOT / page).read_text()) for page in pages]
    for data in WORDS:
        for changes in _changes(ROOT / "experiments/checkerboard", data):
            means = {kind: np.mean(x) for kind, x in changes.items()}
            for kind in (min(means, key=means.get), max(means, key=means.get)):
                mean, x = means[kind], changes[kind]
                half = 2.262 * np.std(x, ddof=1) / len(x) ** 0.5
                interval = f"{mean:.1f} [{mean - half:.1f}, {mean + half:.1f}]"
                assert all(interval in text for text in texts), interval


def _changes(folder, data):
    """By kind, what training changed at each seed: on validation and on test images."""
    curves, ends = {}, {}
    for row in _rows(folder / f"primary_{data}_steps.csv"):
        seeds = curves.setdefault(row["model.upsampling"], {})
        seeds.setdefault(row["seed"], []).append(float(row["dc_ripple_db_s8"]))
    for row in _rows(folder / f"primary_{data}.csv"):
        start, end = (float(row[f"{x}/dc_ripple_db_s8"]) for x in ("init", "test"))
        if start > -100:
            ends.setdefault(row["model.upsampling"], []).append(end - start)
    validation = {kind: [x[-1] - x[0] for x in curves[kind].values()] for kind in ends}
    return validation, ends


WORDS = {
    "mnist": "grew by {:.0f} to {:.0f} dB on digits",
    "bsds": "changed by {:.0f} to {:.0f} dB on photographs",
}


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def _growth(path):
    """dB by which the ripple of kinds that do not start clean grew, mean over seeds."""
    steps = {}
    for row in _rows(path):
        kind = steps.setdefault(row["model.upsampling"], {})
        kind.setdefault(int(row["step"]), []).append(float(row["dc_ripple_db_s8"]))
    return {
        name: np.mean(kind[max(kind)]) - np.mean(kind[0])
        for name, kind in steps.items()
        if max(kind[0]) > -100
    }


def README():
    return (ROOT / "README.md").read_text()


def numbers(text):
    return [float(x) for x in re.findall(r"-?\d+\.\d+", text)]


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == caejax.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["authors"] == [{"name": "caejax developers"}]
    newest = re.findall(r"\n## (\S+)", (ROOT / "CHANGELOG.md").read_text())[0]
    assert newest == caejax.__version__


def test_every_field_has_a_sentence():
    found = {name for name, *_ in described()}
    for kind in MODELS:
        assert set(field_names(default(kind))) <= found
    assert all(text.endswith((".", ".)")) for *_, text in described())


def test_pages_name_all_that_there_is(generate):
    tables, shown = generate.tables, generate.fields.page()
    assert all(f"`{name}`" in shown for name, *_ in described())
    for table, made in (
        (UPSAMPLING, tables.decoders()),
        (UPSAMPLING, tables.sources_of_decoders()),
        (CORRUPTIONS, tables.corruptions()),
        (LOSSES, tables.losses()),
        (SOURCES, tables.sources()),
        (executors.EXECUTORS, tables.executors()),
        (METRICS, tables.metrics()),
    ):
        assert all(f"`{name}`" in made for name in table)
    assert "`salt` = 0.5, 0 to 1: Share of the changed pixels" in tables.corruptions()
    # What chooses a kind stands before what the kind has.
    for first, later in (
        ("data.source", "data.channels"),
        ("corruption.name", "corruption.params.salt"),
        ("optimizer.name", "optimizer.clip_norm"),
        ("executor.name", "executor.cpus"),
    ):
        assert shown.index(f"`{first}` |") < shown.index(f"`{later}` |")


def test_the_table_of_decoders(generate):
    """Costs are those of the docstrings, which tests/test_upsampling.py holds."""
    rows = [
        line.strip("| ").split(" | ") for line in generate.tables.decoders().split("\n")
    ]
    rows = {row[0].strip("`"): row[1:] for row in rows}
    assert rows["deconv_k4"][1:] == ["no", "16 C F + F", "16 C F"]
    assert rows["bilinear_additive"][1:] == ["always", "2.25 C F + F", "9 C F"]
    for name in UPSAMPLING:
        clean = "at initialisation" if clean_at_initialisation(name) else "no"
        assert rows[name][1] == ("always" if clean_by_construction(name) else clean)
        for cost in rows[name][2:]:
            assert cost in " ".join(UPSAMPLING[name].doc.split())


def test_commands_say_what_their_help_says(generate):
    page = generate.commands.page()
    for name in SUBCOMMANDS:
        assert f"\n## caejax {name}\n" in f"\n{page}"
    assert "--references" in page
    assert "usage: caejax fix" in page
    assert max(map(len, page.splitlines())) <= 100


def test_the_interface_is_documented_from_its_docstrings(generate):
    page = generate.api.page()
    for name in caejax.__all__:
        if callable(getattr(caejax, name)):
            assert re.search(rf"{{py:\w+}} caejax\.{name}\b", page), name
    assert "- `CaejaxError`: Images that cannot be used." in page


def test_docstrings_become_markdown(generate):
    text = inspect.cleandoc(
        """A sentence of `x*y` and 2 * 3.

        A paragraph:

            y = x [1]

        Args:
          a: first
            goes on.
          b: second.

        Returns:
          It, (B, C).

        Raises:
          ValueError: no.
        """
    )
    assert generate.api.to_markdown(text) == (
        "A sentence of `x*y` and 2 \\* 3.\n\nA paragraph:\n\n```text\ny = x [1]\n```"
        "\n\n**Args**\n\n- `a`: first goes on.\n- `b`: second.\n\n"
        "**Returns:** It, (B, C).\n\n**Raises**\n\n- `ValueError`: no."
    )


def test_studies_lead_to_each_other_and_name_what_is_not_there(generate, tmp_path):
    generate.studies.write(ROOT / "experiments", tmp_path)
    text = (tmp_path / "checkerboard.md").read_text()
    assert "[tying](tying.md)" in text
    assert "`experiments/checkerboard/results.md`" in text
    assert "(/howto/diagnose.md)" in (tmp_path / "audit.md").read_text()
    for page in tmp_path.glob("*.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not target.startswith("http"):
                folder = DOCS if target.startswith("/") else tmp_path
                path = folder / target.split("#")[0].removeprefix("/")
                assert path.exists(), f"{page.name}: {target}"
    assert set(tmp_path.glob("*.md")) > {
        tmp_path / f"{path.parent.name}.md"
        for path in ROOT.glob("experiments/*/README.md")
    }


def test_links_to_parts_of_studies_stay_links(generate, tmp_path):
    for name, links in (
        ("one", "[a](#a-part) [b](../two/README.md#b-part)"),
        ("two", ""),
    ):
        (tmp_path / "of" / name).mkdir(parents=True)
        (tmp_path / "of" / name / "README.md").write_text(f"# {name}\n\n{links}\n")
    (tmp_path / "of" / "README.md").write_text("| [one](one/README.md) |\n")
    generate.studies.write(tmp_path / "of", tmp_path / "to")
    text = (tmp_path / "to" / "one.md").read_text()
    assert text == "# one\n\n[a](#a-part) [b](two.md#b-part)\n"


def test_broken_links_are_found(links, tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here"></a><a href="b.html#gone"></a><a href="c.html"></a>'
        '<a href="https://x.example/"></a><img src="d.png"><a href="#top" id="top">'
    )
    (tmp_path / "b.html").write_text('<p id="here">')
    assert links.broken(tmp_path) == [
        "a.html: no anchor b.html#gone",
        "a.html: no c.html",
        "a.html: no d.png",
    ]


KINDS = {
    "Transposed, 2 taps": "deconv_k2",
    "Transposed, 3 taps": "deconv_k3",
    "Transposed, 4 taps": "deconv_k4",
    "Transposed, 5 taps": "deconv_k5",
    "Transposed, 6 taps": "deconv_k6",
    "Nearest resize, then 3 taps": "nearest_k3",
    "Bilinear resize, then 3 taps": "bilinear_k3",
}
PROGRAM = """
const taps = require(process.argv[1]);
console.log(JSON.stringify(Object.entries(taps.KINDS).map(([name, kind]) => {
  const filter = taps.convolve(kind.start, kind.fixed);
  return { name, start: kind.start, filter, gains: taps.gains2d(filter),
    ripple: taps.rippleDb(filter), lattice: taps.atLattice(filter),
    equal: taps.equalGains(filter) };
})));
"""


def test_the_page_of_taps_computes_what_caejax_does():
    """Gains, ripple, response and projection, of kernels that are outer products."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    command = [node, "-e", PROGRAM, str(DOCS / "_static/taps.js")]
    found = json.loads(subprocess.check_output(command, text=True))
    assert {case["name"] for case in found} == set(KINDS)
    for case in found:
        kind = KINDS[case["name"]]
        taps = np.array(case["start"], np.float32)
        # Flax correlates: its kernel is what is painted, turned around.
        kernel = jnp.asarray(np.outer(taps[::-1], taps[::-1])[..., None, None])
        h = np.asarray(layer_filter(kernel, UPSAMPLING[kind]))[..., 0, 0]
        np.testing.assert_allclose(
            h, np.outer(case["filter"], case["filter"]), atol=1e-6
        )
        gains = np.roll(np.array(case["gains"]), UPSAMPLING[kind].origin, (0, 1))
        np.testing.assert_allclose(
            phase_gains(kernel, kind)[..., 0, 0], gains, atol=1e-5
        )
        ripple = float(kernel_ripple_db(kernel, kind))
        assert case["ripple"] == pytest.approx(ripple, abs=0.01) or ripple < -100
        assert (case["ripple"] < -100) == (ripple < -100)
        one = np.array(case["filter"])
        signs = (-1.0) ** np.arange(len(one))
        assert case["lattice"] == pytest.approx(abs(one @ signs), abs=1e-6)
        # The nearest one that is orthogonal to the signs: even sums are the odd ones.
        nearest = one - signs * (one @ signs) / len(one)
        np.testing.assert_allclose(case["equal"], nearest, atol=1e-6)


def test_the_page_of_taps_is_moved_by_keys():
    static = DOCS / "_static"
    with chromium() as browser:
        page, complaints = browser.new_page(), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_content('<div id="taps"></div>')
        page.add_style_tag(path=static / "site.css")
        page.add_script_tag(path=static / "taps.js")
        page.evaluate("taps.show(document.getElementById('taps'))")

        def drawn():
            return page.evaluate("document.querySelector('canvas').toDataURL()")

        before = drawn()
        numbers = page.locator(".taps-numbers")
        told = numbers.locator("dt").all_text_contents()
        told = dict(zip(told, numbers.locator("dd").all_text_contents(), strict=True))
        # Taps 0.4, 1, 1, 0.2: even ones are 1.4 together, odd ones 1.2
        assert told["Gain of even rows, even columns"] == "1.960"
        assert told["Gain of even rows, odd columns"] == "1.680"
        assert told["Gain of odd rows, odd columns"] == "1.440"
        ends = page.locator(".taps-ends span").all_text_contents()
        assert ends == ["0.00", "1.69", "3.38"]  # what black, half grey and white are
        assert "gains differ" in page.text_content(".taps-verdict")
        page.focus("#taps-0")
        page.keyboard.press("ArrowRight")
        assert page.text_content("output[for=taps-0]") == "0.45"
        assert drawn() != before
        page.keyboard.press("Home")
        assert page.text_content("output[for=taps-0]") == "-2.00"
        page.get_by_text("One gain for all phases").press("Enter")
        assert page.text_content(".taps-verdict").startswith("Flat")
        assert "flat grey" in page.get_attribute("canvas", "aria-label")
        page.select_option("#taps-kind", "Nearest resize, then 3 taps")
        for _ in range(3):
            page.focus("#taps-1")
            page.keyboard.press("ArrowLeft")
            assert page.text_content(".taps-verdict").startswith("Flat")
        page.select_option("#taps-kind", "Transposed, 2 taps")
        for tap, key in enumerate(("Home", "End")):  # -2 and 2: their mean is 0
            page.focus(f"#taps-{tap}")
            page.keyboard.press(key)
        ends = page.locator(".taps-ends span").all_text_contents()
        assert ends == ["-4.00", "0.00", "4.00"]
        assert numbers.locator("dd").last.inner_text().endswith("the mean is 0")
        assert not complaints


def test_pictures_of_the_site_lead_to_themselves_at_full_size(tmp_path):
    script = f'<script src="{(DOCS / "_static/site.js").as_uri()}"></script>'
    linked = '<a href="b.html"><img src="b.png" alt="b"></a>'
    (tmp_path / "page.html").write_text(
        f'{script}<article><img src="a.png" alt="a">{linked}</article>'
    )
    with chromium() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        links = page.locator("a:has(img)").all()
        assert [link.evaluate("x => x.href.split('/').pop()") for link in links] == [
            *("a.png", "b.html"),
        ]


def test_what_is_wider_than_the_page_can_be_scrolled_and_read(tmp_path):
    """Tables have columns wide enough to read, formulas no second scrollbar."""
    style = f'<link rel="stylesheet" href="{(DOCS / "_static/site.css").as_uri()}">'
    script = f'<script src="{(DOCS / "_static/site.js").as_uri()}"></script>'
    scrolled = "<style>.table-wrapper { overflow-x: auto }</style>"
    cells = "<td>a_name_that_is_long_and_whole<td>six words of a sentence here" * 3
    fits = "<table><td>short<td>six words of a sentence here</table>"
    sums = "<munder><mo>∑</mo><mi>m</mi></munder><msub><mi>x</mi><mi>m</mi></msub>" * 20
    wrapped = f'<div class="table-wrapper"><table>{cells}</table></div>'
    wrapped += f'<div class="table-wrapper">{fits}</div>'
    wrapped += f'<div class="math"><math display="block">{sums}</math></div>'
    (tmp_path / "page.html").write_text(style + scrolled + script + wrapped)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto((tmp_path / "page.html").as_uri())
        found = page.evaluate(
            "[...document.querySelectorAll('.table-wrapper, .math')].map(e => ["
            "e.scrollWidth > e.clientWidth, e.tabIndex, e.scrollHeight - e.clientHeight"
            "])"
        )
        assert found == [[True, 0, 0], [False, -1, 0], [True, 0, 0]]
        tall = "[...document.querySelectorAll('td')].map(e => e.offsetHeight)"
        assert max(page.evaluate(tall)) < 40  # a line, and not six of a word each
        page.set_viewport_size({"width": 3000, "height": 844})
        page.wait_for_function("!document.querySelector('.wide')")


def test_flags_stay_whole_and_no_line_begins_with_a_full_stop(flags, tmp_path):
    """Where a line may be broken, on a page of any width."""
    code = '<code class="literal">{}</code>'.format
    pre = '<span class="pre">{}</span>'.format
    flag, path = pre("--batch-size-at-most=8"), pre("experiments/a/places.csv")
    text = f"A word ({code(path)}), {code(pre('caejax.fix'))}. Then {code(flag)} it."
    style = f'<link rel="stylesheet" href="{(DOCS / "_static/site.css").as_uri()}">'
    (tmp_path / "page.html").write_text(f"{style}<p>{flags.whole(text)}</p>")
    lines = """width => {
      const text = document.querySelector('p'), found = [], range = new Range();
      text.style.width = `${width}px`;
      const walk = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
      for (let top; walk.nextNode();) {
        [...walk.currentNode.data].forEach((letter, i) => {
          range.setStart(walk.currentNode, i);
          range.setEnd(walk.currentNode, i + 1);
          const box = range.getBoundingClientRect();
          if (box.top > top + 8 || top === undefined) found.push('');
          if (box.width) top = box.top;
          found[found.length - 1] += letter;
        });
      }
      return found.map(line => line.trim()).filter(Boolean);
    }"""
    with chromium() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        for width in range(180, 400, 8):
            for line in page.evaluate(lines, width):
                assert line[0] not in ".,)", line
                assert line[-1] not in "(-", line


def test_the_site_finds_all_of_its_pages():
    """A page that is in no table of contents would not be found by readers."""
    index = (DOCS / "index.md").read_text()
    for page in DOCS.glob("*/*.md"):
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        if not name.startswith("_"):
            assert name in index, name


def test_documentation_imports_what_it_needs():
    """Its scripts are read without Sphinx."""
    for path in DOCS.rglob("*.py"):
        ast.parse(Path(path).read_text())
