"""Mends models that draw checkerboards: all phases of their kernels get one gain.

By the least change, in closed form, and without another architecture; which need it,
`caejax.diagnose` says. That alone can make a trained model much worse, so that it has
to be trained further. `caejax.fix(model)` is the function `fix`, of modules in memory;
`caejax.fix.fix_file` mends files. On the command line: `caejax fix MODEL --out=FILE`.
"""

import importlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from caejax import weights
from caejax.diagnose import as_tensors, diagnose, load_extra, without_its_module
from caejax.errors import CaejaxError
from caejax.files.paths import expand
from caejax.files.safetensors import SUFFIX
from caejax.fix import cost
from caejax.metrics.table import ROUNDING_DB
from caejax.terminal.lines import broken, columns
from caejax.terminal.notes import note
from caejax.terminal.numbers import counted

__all__ = ["Fixed", "fix", "fix_file"]


class Fixed(dict[str, Any]):
    """A record of what was changed in a model and what that did.

    It is a `dict` of plain values; `str` of it is what the command prints, which on a
    terminal is no wider than that.
    """

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(self, indent=2, allow_nan=False)

    def __str__(self) -> str:
        width = columns()
        return "\n".join(broken(line, width) for line in _lines(self))

    __repr__ = __str__  # what a prompt shows


def fix(module: Any, inputs: Any = None, *, verbose: bool = True) -> Any:
    """Mends a copy of a PyTorch module.

    Kernels of transposed convolutions and of layers whose channels become pixels, and
    biases that differ by phase, are moved by the least change that gives all phases the
    same gain. Weights that are computed from others, as by weight normalisation, become
    plain parameters first.

    That alone can make a trained model much worse (2.4 to 8.9 dB of PSNR in a study):
    compare its outputs with what they should be, and train it further.

    Args:
      module: a `torch.nn.Module`, which stays as it is.
      inputs: what the module is called with, or a list of that. It is run once with
        them, which shows all that its forward does, also by functions. Without them
        only its `torch.nn.ConvTranspose` layers are mended.
      verbose: print a line for each kernel and bias that was moved, and by how much.

    Returns:
      The mended copy. Of each place that stays as it is a warning says why.

    Raises:
      CaejaxError: it is no module, or cannot be run; or it was given without inputs
        and enlarges by other than such layers.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        raise CaejaxError(
            f"caejax.fix mends a torch.nn.Module, and this is "
            f"{type(module).__name__}{without_its_module(module)}; ONNX files and runs "
            "are mended by caejax.fix.fix_file(model, out) or the command caejax fix, "
            "and kernels of other libraries by caejax.ops.gains.equal_gains(kernel, "
            "stride)"
        )
    mending = load_extra("caejax.fix.torch_module", "torch")
    if inputs is not None:
        inputs = as_tensors(inputs)
    mended, mends, about, left = mending.fix_module(module, inputs)
    lines = [*about, *(_moves(x.name, x.what, x.moved) for x in mends)]
    for line in (lines or ["nothing was changed"]) if verbose else ():
        note(line)
    for sentence in left:
        warnings.warn(sentence, stacklevel=2)
    return mended


def fix_file(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | None = None,
    targets: str | os.PathLike[str] | None = None,
    finetune: int = 0,
) -> Fixed:
    """Mends an ONNX file, or a finished run of caejax, into another.

    Args:
      model: an ONNX file or a run's folder, which stay as they are.
      out: the file, or the run's folder, to write; it must not exist.
      images: a folder of images to show how far outputs move on; None for none.
      targets: a folder of what should come out for these, under the same names.
      finetune: of a run, for how many epochs it is trained further, with its phases
        kept equal; the folder of that run is named like `out`, with "-tuned" added.

    Returns:
      The record. Its field "warning" says where the mended model was measured to be
      much worse, and what to do then; else it is empty. "loss_db" is by how much less
      its PSNR is, after training further where it was; None where none was measured.

    Raises:
      CaejaxError: a model that cannot be read or run, an `out` that is there, or images
        that do not fit.
    """
    model, out = expand(model, "MODEL"), expand(out, "--out")
    named = weights.is_meant(model, model)
    if not (model.exists() or named):
        raise CaejaxError(f"MODEL is {model}, and there is no such file or folder")
    if named or model.suffix == SUFFIX:
        raise CaejaxError(
            f"MODEL is {model}, weights without their run; give the folder of a run, "
            "or an ONNX file, as caejax export --format=onnx writes it"
        )
    if out.exists():
        raise CaejaxError(f"{out} exists; choose another --out")
    images = None if images is None else expand(images, "--images")
    targets = None if targets is None else expand(targets, "--targets")
    if targets is not None and images is None:
        raise CaejaxError("--targets are those of --images, which are missing")
    if model.is_dir():
        return _fix_run(model, out, images, targets, finetune)
    if finetune:
        raise CaejaxError("--finetune trains runs of caejax; an ONNX file cannot be")
    return _fix_onnx(model, out, images, targets)


def _fix_onnx(path: Path, out: Path, images, targets):
    reading = load_extra("caejax.diagnose.onnx_file", "onnx")
    mending = load_extra("caejax.fix.onnx_file", "onnx")
    model = reading.read(path)
    before = reading.inspect_model(model, None, -60.0)
    given = reading.example(model, reading.least_size(model))
    mended, mends, left = mending.fix_model(model, given)
    after = reading.inspect_model(mended, None, -60.0)
    moved = None
    if images is not None:
        moved = _effect(
            reading.as_function(model),
            reading.as_function(mended),
            reading.input_shape(model),
            images,
            targets,
            reading.input_type(model),
        )
    mending.write(mended, out)
    record = _record(path, out, before, after, mends, left, moved)
    if mends and targets is None:
        record["about"].append(cost.NOT_MEASURED)
    return record


def _fix_run(path: Path, out: Path, images, targets, epochs):
    mending = importlib.import_module("caejax.fix.runs")
    running = importlib.import_module("caejax.diagnose.runs")
    if epochs:
        mending.check_tied(path)  # before anything is written
    mends = mending.fix_run(path, out)
    before, after = diagnose(path), diagnose(out)
    moved = None
    if images is not None:
        shape = running.input_shape(path)
        old, new = running.as_function(path), running.as_function(out)
        moved = _effect(old, new, shape, images, targets)
    record = _record(path, out, before, after, mends, [], moved)
    record["quality"] = {
        "before_psnr_db": mending.psnr(path),
        "after_psnr_db": mending.psnr(out),
    }
    if epochs:
        tuned = out.with_name(f"{out.name}-tuned")
        mending.finetune(out, tuned, epochs)
        record["quality"] |= {
            "finetuned_psnr_db": mending.psnr(tuned),
            "finetuned_ripple_db": diagnose(tuned)["ripple_db"],
            "finetuned_out": str(tuned),
            "epochs": epochs,
        }
    said = cost.of_run(record["quality"], mending.untied(path), str(out))
    record["warning"] = said or record["warning"]
    record["loss_db"] = cost.loss(record)
    return record


def _effect(*args):
    return importlib.import_module("caejax.fix.effect").measure(*args)


def _record(path, out, before, after, mends, left, moved):
    changes = [
        {
            "name": mend.name,
            "what": mend.what,
            "moved": mend.moved,
        }
        for mend in mends
    ]
    record = Fixed(
        model=str(path),
        out=str(out),
        ripple_before_db=before["ripple_db"],
        ripple_after_db=after["ripple_db"],
        clean=after.clean,
        changes=changes,
        images=moved,
        quality=None,
        warning=cost.on_targets(moved, str(out)),
        about=[
            *_needless(before, changes),
            *left,
            *_still(after, left),
            *after["about"],
        ],
    )
    record["loss_db"] = cost.loss(record)
    return record


def _needless(before, changes):
    """A sentence where what was changed drew nothing."""
    if before.clean and before["ripple_db"] is not None and changes:
        yield (
            f"it was clean before, at {before['ripple_db']:.1f} dB: its phases cancel "
            "each other over channels, which mending undoes; keep the model as it was"
        )


def _still(after, left):
    """Sentences about places that draw all the same, and of which none is said."""
    for place in after["places"]:
        told = any(x.startswith(f"{place['name']}: ") for x in left)
        if not place["clean"] and not told:
            drawn = place["ripple_db"]
            much = "" if drawn is None else f"it still draws {drawn:.1f} dB; "
            yield f"{place['name']}: {much}{place['verdict']}"


def _lines(found):
    for change in found["changes"]:
        yield _moves(change["name"], change["what"], change["moved"])
    if not found["changes"]:
        stays = any("stays as it is" in x for x in found["about"])
        clean = found["clean"] and not stays
        yield "nothing to mend: it draws no pattern" if clean else "nothing was mended"
    before, after = (_decibels(found[f"ripple_{x}_db"]) for x in ("before", "after"))
    left = found["ripple_after_db"]
    none = " (only rounding)" * (left is not None and left < ROUNDING_DB)
    yield (
        f"pattern on flat inputs, against the flat part of the output: {after} now"
        f"{none}, {before} before"
    )
    moved = found["images"]
    if moved:
        yield (
            f"on {counted(moved['count'], 'image')} old and new outputs are "
            f"{_with_interval(moved['between'])} PSNR apart (peak {moved['peak']:.3g})"
        )
        if moved["targets"]:
            near = moved["targets"]
            yield (
                f"against the targets {near['before']['mean_db']:.2f} dB become "
                f"{near['after']['mean_db']:.2f}: {_with_interval(near['change'])}"
            )
    quality = found["quality"]
    if quality:
        yield (
            f"on its own test images {quality['before_psnr_db']:.2f} dB PSNR become "
            f"{quality['after_psnr_db']:.2f}"
        )
        if "epochs" in quality:
            yield (
                f"after {counted(quality['epochs'], 'epoch')} with tied phases "
                f"{quality['finetuned_psnr_db']:.2f} dB, and a pattern of "
                f"{_decibels(quality['finetuned_ripple_db'])}; that model is in "
                f"{quality['finetuned_out']}"
            )
    yield from found["about"]
    yield f"written to {found['out']}"
    if found["warning"]:
        yield found["warning"]


def _moves(name, what, moved):
    return f"{name}: its {what} moves by {100 * moved:.3g} % of its norm"


def _decibels(value):
    return "not measured" if value is None else f"{value:.1f} dB"


def _with_interval(found):
    ends = found["interval_db"]
    text = f"{found['mean_db']:.2f} dB"
    return text if ends is None else f"{text} [{ends[0]:.2f}, {ends[1]:.2f}]"
