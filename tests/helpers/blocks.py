"""Blocks of code and commands in documentation, collected and run in this process.

A page's blocks are run in their order, in a folder of the page's own. What it uses and
does not make is there: photographs in `photos`, `noisy`, `denoised` and `clean`, the
finished `runs/digits`, `runs/mine`, `runs/quickstart` and `runs/my_sweep`, of which the
latter two are sweeps, the README's `my_sweep.py`, and `decoder.onnx`, which draws a
grid. Models are small, images few, sweeps of one run (`tiny`), whatever a page says.

A block of `text` is what the block before it prints: its lines are looked for in that,
in their order, numbers aside.
"""

import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import yaml
from absl import flags
from ml_collections import ConfigDict
from PIL import Image

import caejax
from caejax import __main__ as console
from caejax import config as config_lib
from caejax import interface, main
from caejax.config.load import find_config
from caejax.config.sections import SWITCHES, choose
from caejax.diagnose.__main__ import FOUND
from caejax.sweep import run
from helpers.mutate import coarse_figures
from helpers.tiny import tiny_config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"] + sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    if not {"_build", "_generated"} & set(path.parts)
)
_MARK = re.compile(r"<!-- (only checked|needs): (.+?) -->")


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
      page: its file.
      line: the number of its first line.
      language: what stands behind the fence; empty for commands.
      text: what is in it.
      why: why it is only checked; empty if it is run.
      needs: a module that it needs; empty for none.
    """

    page: Path
    line: int
    language: str
    text: str
    why: str = ""
    needs: str = ""


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page; directives of the site are none."""
    found, mark, lines = [], {}, page.read_text().splitlines()
    at = 0
    while at < len(lines):
        fence = re.fullmatch(r"(`{3,})(.*)", lines[at])
        if fence:
            end = lines.index(fence.group(1), at + 1)
            text, language = "\n".join(lines[at + 1 : end]), fence.group(2)
            if not language.startswith("{"):
                why, needs = mark.get("only checked", ""), mark.get("needs", "")
                found.append(Block(page, at + 2, language, text, why, needs))
            at = end
        if lines[at].strip():
            marked = _MARK.fullmatch(lines[at])
            mark = {marked.group(1): marked.group(2)} if marked else {}
        at += 1
    return found


def commands_in(block: Block) -> list[list[str]]:
    """The words of each command, comments and `exec` left out."""
    text = block.text
    if block.language == "yaml":
        steps = yaml.safe_load(text)
        text = "\n".join(step["run"] for step in steps)
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(part, comments=True) for x in lines for part in x.split("&&")]
    return [x[x[0] in ("exec", "srun") :] for x in words if x]


def tiny(config: ConfigDict) -> ConfigDict:
    """Makes a config one of a second, in place: the model that other tests train, too.

    Images are grey, whatever a page says, as that model's are. Axes keep their last
    value, so that decoders are all `nearest_k3`, and what one run has compiled the
    others find again.
    """
    small = tiny_config()
    for field in ("image_size", "train_size", "test_size", "val_fraction"):
        config.data[field] = small.data[field]
    config.data.patches_per_image, config.data.channels = 2, 1
    if config.model.encoder == small.model.encoder:
        config.model.update(small.model.to_dict())
    config_lib.override(config, "loss", small.loss)
    config.optimizer.update(small.optimizer.to_dict())
    config.train.update(small.train.to_dict())
    config.train.epochs = 1
    config.executor.name, config.references = small.executor.name, ()
    axes = config.sweep.to_dict()
    for axis in axes.values():
        if "values" in axis:
            axis["values"] = axis["values"][-1:]
    config.sweep, config.sweep_exclude = axes, ()
    return config


@contextlib.contextmanager
def all_tiny(patch: Any) -> Iterator[None]:
    """While it lasts, commands and functions train what `tiny` makes of configs."""
    of_flags, of_interface, of_sweeps = main._config, interface._config, run.run_sweep

    def from_flags(file, overrides):
        config = of_flags(file, overrides)
        return config if config is None else tiny(config)

    patch.setattr(main, "_config", from_flags)

    def from_python(config, folder):
        name = config.executor.name
        tiny(config).executor.name = name
        return of_sweeps(config, folder)

    importlib.import_module("caejax.commands.run")  # has run_sweep as it is
    patch.setattr(run, "run_sweep", from_python)
    patch.setattr(interface, "_config", lambda config: tiny(of_interface(config)))
    with coarse_figures(), jax.numpy_rank_promotion("allow"):
        yield


def make_world(folder: Path) -> None:
    """Makes what pages use, see above."""
    rng = np.random.default_rng(0)
    # Of parts as large as those that `tiny` draws: what is compiled serves both.
    parts = {"photos/train": 16, "photos/val": 4, "photos/test": 6}
    for name, count in {**parts, "noisy": 2, "clean": 2, "denoised": 2}.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = Image.fromarray(rng.integers(0, 255, (5, 6), np.uint8))
            image.resize((48, 40)).save(folder / name / f"{i}.png")
    write_decoder(folder / "decoder.onnx")
    write_sweep(folder)
    run_command(
        ["caejax", "run", "--config=quickstart"]
        + [f"--workdir={folder / 'runs/quickstart'}"]
    )
    shutil.copytree(folder / "runs/quickstart", folder / "runs/my_sweep")
    (run,) = (folder / "runs/quickstart/runs").iterdir()
    for name in ("digits", "mine"):
        shutil.copytree(run, folder / "runs" / name)


def write_sweep(folder: Path) -> None:
    """Writes the README's my_sweep.py into a folder."""
    (sweep,) = (x for x in blocks_of(PAGES[0]) if x.text.startswith("# my_sweep.py"))
    (folder / "my_sweep.py").write_text(sweep.text)


def write_decoder(path: Path) -> None:
    """An ONNX file of one transposed convolution, which draws a grid."""
    import onnx

    helper = onnx.helper
    weight = np.random.default_rng(0).normal(size=(3, 1, 2, 2)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])],
        "graph",
        [helper.make_tensor_value_info("x", 1, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", 1, None)],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    ids = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=ids, ir_version=8), path)


def place_world(world: Path, folder: Path, page: Path) -> None:
    """Copies what a page uses and does not make into its folder."""
    text = page.read_text()
    made = set(re.findall(r" run --config.*--workdir=(\S+)", text))
    made |= set(re.findall(r"--out=(\S+)", text))
    made |= set(re.findall(r"caejax\.train\(\w+, \"(.+?)\"", text))
    for path in (*world.glob("*"), *(world / "runs").glob("*")):
        name = path.relative_to(world).as_posix()
        if name in text and name not in made | {"runs"}:
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            copy = shutil.copytree if path.is_dir() else shutil.copyfile
            copy(path, target)


def call(words: list[str]) -> tuple[int, str]:
    """Calls a command; returns its exit code and what it told."""
    flags.FLAGS.unparse_flags()
    argv, told = sys.argv, io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = console.main(words)
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = argv
    return code, told.getvalue()


def caejax_words(words: list[str]) -> list[str] | None:
    """What a command gives to `caejax`; None if it is another program's."""
    if words[0] == "caejax":
        return words[1:] or ["help"]
    if words[:3] == ["python", "-m", "caejax.main"]:
        modes = [word[7:] for word in words if word.startswith("--mode=")]
        flags = [word for word in words[3:] if not word.startswith("--mode=")]
        return [modes[-1] if modes else "run", *flags]
    if words[:2] == ["python", "-m"] and words[2].startswith("caejax"):
        return [*words[2].split(".")[1:], *words[3:]]
    return None


def run_command(words: list[str]) -> str:
    """Runs a command of a page, or checks that of another program; what it told."""
    own = caejax_words(words)
    if own is None:
        check_other(words)
        return ""
    code, told = call(own)
    assert code in (0, FOUND), f"{' '.join(words)} ended with {code}: {told}"
    return told


def not_printed(shown: str, told: str) -> list[str]:
    """The first line of what a page shows that was not told, or none.

    Numbers, what fills a line, and lines that end with "..." may be others. A long line
    may be shown as several.
    """

    def bare(text):
        text = re.sub(r"-?\d[\d.,]*(e-?\d+)?", "0", text)
        return [" ".join(re.sub("[─━]+", "", x).split()) for x in text.splitlines()]

    wanted = [line for line in bare(shown) if line and not line.endswith("...")]
    for line in bare(told):
        begun = (n + 1 for n in range(len(wanted)) if " ".join(wanted[: n + 1]) == line)
        wanted = wanted[next(begun, 0) :]
    return wanted[:1]


def check_other(words: list[str]) -> None:
    """Checks a command of another program: what it installs, builds or runs is there.

    Those that install and build are run by .ci/run.
    """
    line, steps = shlex.join(words), (ROOT / ".ci" / "run").read_text()
    if words[:2] == ["pip", "install"]:
        for extra in re.findall(r"\[(\w+)\]", line):
            assert f'"{extra}": [' in (ROOT / "setup.py").read_text(), line
    elif words[:2] == ["python", "-m"]:
        check_study(words)
    elif words[0] == "bash":
        assert (ROOT / words[1]).is_file(), line
    else:
        known = "pytest" in words or words[0] == "tensorboard"
        assert known or line in steps, line


def check_study(words: list[str]) -> None:
    """Checks a study's command: the module is there, and its files name the flags."""
    module = ROOT.joinpath(*words[2].split(".")).with_suffix(".py")
    assert module.is_file(), words
    files = (*module.parent.glob("*.py"), *ROOT.glob("experiments/shared/*.py"))
    text = "".join(path.read_text() for path in files)
    for flag in re.findall(r"--[\w-]+", " ".join(words[3:])):
        assert re.search(rf"[\"\']({flag}|{flag[2:]})[\"\']", text), (words, flag)


def check_command(words: list[str]) -> None:
    """Checks a command of caejax that is not run: flags, fields, names."""
    own = caejax_words(words)
    if own is None:
        return check_other(words)
    name, *rest = own
    if name == "--version":
        return None
    assert name in console.SUBCOMMANDS, words
    told = call([name, "--help"])[1]
    config = config_lib.default()
    for word in rest:
        flag, _, value = word.partition("=")
        field = flag.removeprefix("--config.")
        if field in SWITCHES:
            choose(config, field, value)
        elif flag.startswith("--config."):
            config_lib.get(config, field)
        elif flag == "--config":
            find_config(value)
        elif flag.startswith("-"):
            assert re.search(rf"{flag.replace('--', '--(.no.)?')}\b", told), word
    return None


class Session:
    """A page on its way: what its code has defined."""

    def __init__(self):
        self.names: dict[str, Any] = {"__name__": "page"}
        self.told = ""

    def do(self, block: Block) -> None:
        """Runs a block in the working directory, or checks it."""
        if block.language == "text":
            # Nothing is told where the block before was only checked.
            if self.told and not block.why:
                assert not not_printed(block.text, self.told), self.told
            return None
        self.told = ""
        if block.language == "python":
            return self._python(block)
        assert block.language in ("", "sh", "yaml"), f"{block}: nobody runs that"
        for words in commands_in(block):
            if block.why:
                check_command(words)
            else:
                self.told += run_command(words)
        return None

    def _python(self, block):
        where = f"{block.page.name}:{block.line}"
        code = compile("\n" * (block.line - 1) + block.text, where, "exec")
        if named := re.match(r"# (\w+\.py)\n", block.text):
            Path(named.group(1)).write_text(block.text + "\n")
        missing = block.needs and importlib.util.find_spec(block.needs) is None
        if block.why or missing:
            return
        with contextlib.redirect_stdout(io.StringIO()) as told:
            exec(code, self.names)
        self.told = told.getvalue()


__all__ = ["PAGES", "Block", "Session", "blocks_of", "caejax", "make_world"]
