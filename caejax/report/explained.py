"""What was compared, in a sentence each: model, data, corruption and decoders."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from caejax.corruptions import CORRUPTIONS
from caejax.data import SOURCES, split_size
from caejax.report import decoders
from caejax.report.fields import DECODER
from caejax.report.leads import done
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.settings import several
from caejax.terminal.numbers import counted

_DOWN = {
    "max_pool": "max pooling",
    "blur_pool": "blur pooling",
    "stride_k3": "a strided convolution 3 x 3",
    "stride_k4": "a strided convolution 4 x 4",
}
_SKIPS = {
    "add": ", with skips that add the encoder's features",
    "concat": ", with skips that append the encoder's features",
}
Fields = Mapping[str, Any]


def explain_sweep(sweep: SweepFiles) -> dict[str, str]:
    """A sentence on each part of a sweep, by its name; swept values are told all."""
    rows = [row for row in sweep.rows if row["status"] == "done"]
    runs = list(sweep.runs.values())

    def find(field):
        values = [str(row[field]) for row in rows if field in row]
        values = values or _known(runs, field) or [_at(sweep, field)]
        found = list(dict.fromkeys(values))
        return several(list(map(str, found)), "or") if len(found) > 1 else found[0]

    return _explain(find, runs, {row.get("params") for row in rows} - {None})


def explain_run(run: RunFiles) -> dict[str, str]:
    """A sentence on each part of a run, by its name."""
    params = {run.summary.get("params")} - {None}
    return _explain(lambda field: _at(run, field), [run], params)


def decoders_of(sweep: SweepFiles) -> list[str]:
    """The decoders of a sweep's finished runs."""
    names = [row[DECODER] for row in done(sweep, DECODER)]
    names = names or _known(sweep.runs.values(), DECODER) or [_at(sweep, DECODER)]
    return [str(name) for name in dict.fromkeys(names) if name]


def explain_decoders(names: Sequence[str]) -> list[dict[str, str]]:
    """Name, sentence and colour of each decoder that has one."""
    return [
        {
            "name": name,
            "text": decoders.sentence(name),
            "color": decoders.style_of(name)["color"],
        }
        for name in names
        if decoders.sentence(name)
    ]


def _known(runs, field):
    """A field's values in the runs that have it: a sweep of whole configs has none."""
    return [value for run in runs if (value := _at(run, field)) != ""]


def _at(files, field):
    value = _raw(files, field)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value


def _raw(files, field):
    value: Any = files.config
    for part in field.split("."):
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return value


def _explain(find, runs, params):
    told = {
        "Model": _model(find, runs, params),
        "Training": _training(find, runs),
        "Data": _data(find, runs),
        "Corruption": _corruption(find),
    }
    return {name: text for name, text in told.items() if text}


def _model(find, runs, params):
    encoder = find("model.encoder")
    count = several([f"{n:,}" for n in sorted(params)], "or") if params else ""
    size = f"; {count} parameters" if count else ""
    channels = find("model.latent_channels")
    code, vector = (f"a code of {counted(channels, x)}" for x in ("channel", "number"))
    if encoder == "conv":
        widths = find("model.widths")
        counts = {len(x) for run in runs if (x := _raw(run, "model.widths"))}
        counts = counts or {len(str(widths).split(","))}
        stages = several(list(map(str, sorted(counts))), "or")
        down = _DOWN.get(find("model.downsampling"), find("model.downsampling"))
        each, back = ("each of which", "as many stages")
        if stages == "1":
            each, back = "which", "one"
        return (
            f"A convolutional autoencoder: {counted(stages, 'stage')} of "
            f"{counted(widths, 'channel')}, {each} halves the image by {down}, {code}, "
            f"and {back} of {find('model.upsampling')} upsampling back to the image"
            f"{_beside(find)}{size}."
        )
    if encoder == "dense":
        return (
            f"An autoencoder of dense layers of {find('model.widths')} units, with "
            f"{vector}, and the same backwards{size}."
        )
    if encoder == "tied_dense":
        return (
            "An autoencoder of one dense layer, whose weights are used both ways, with "
            f"{vector}{size}."
        )
    if encoder == "layers":
        return (
            f"An autoencoder whose encoder is {find('model.encoder_layers')} and whose "
            f"decoder is {find('model.decoder_layers')}{size}."
        )
    return f"A model of the kind {encoder}{size}." if encoder else ""


def _beside(find):
    """What else a convolutional autoencoder has than its stages."""
    skips, residual = find("model.skips"), str(find("model.residual"))
    text = "" if skips in ("", "none") else _SKIPS.get(skips, f", with skips {skips}")
    if residual == "True":
        text += "; what it decodes is the noise, which is subtracted from the input"
    return text


def _training(find, runs):
    loss, name = find("loss"), find("optimizer.name")
    if not loss or not name:
        return ""
    steps = sorted({run.summary["steps"] for run in runs if "steps" in run.summary})
    count = several([f"{n:,}" for n in steps], "or") if steps else ""
    long = f", {counted(count, 'step')}" if steps else ""
    batch, rate = find("train.batch_size"), find("optimizer.learning_rate")
    return (
        f"{counted(find('train.epochs'), 'epoch')}{long} in batches of {batch}, with "
        f"{name}, "
        f"learning rate {rate}, and the loss {loss}; tested on images that training "
        "has not seen."
    )


def _data(find, runs):
    source, name = find("data.source"), find("data.name")
    if not source:
        return ""
    known = SOURCES.get(source)
    what = (known and known.what) or f"images of the source {source}"
    named = f" ({name})" if name else ""
    shapes = {
        run.samples["target"].shape[1:] for run in runs if "target" in run.samples
    }
    colours = {1: "grey", 3: "colour"}
    sizes = (
        several(
            sorted(
                f"{h} x {w}, {colours.get(c, f'{c} channels')}" for h, w, c in shapes
            )
        )
        if shapes
        else ""
    )
    count = _counts([run.config.get("data", {}) for run in runs])
    tail = ", ".join(filter(None, (sizes, count)))
    text = f"{what[0].upper()}{what[1:]}{named}"
    return f"{text}: {tail}." if tail else f"{text}."


def _counts(sections):
    """How many images train and validate, as far as configs say it.

    Args:
      sections: the section data of each run's config.
    """
    drawn = [_drawn(data) for data in sections if data.get("train_size")]
    if drawn and all(drawn):
        train, val = (_numbers(x) for x in zip(*drawn, strict=True))
        return f"{train} for training" + (f" and {val} for validation" if val else "")
    limits = {data.get("limit") for data in sections} - {0, None}
    return f"at most {_numbers(limits)} for training" if limits else ""


def _drawn(data):
    """The numbers of images of a source that draws as many as it is told; or None."""
    known = SOURCES.get(data.get("source", ""))
    if not known or not known.drawn:
        return None
    count = min(data["train_size"], data.get("limit") or data["train_size"])
    fraction = data.get("val_fraction", 0)
    val = split_size(count, fraction) if fraction else 0
    return count - val, val


def _numbers(values):
    """Numbers as words, zeros left out; "" of none."""
    found = sorted({*values} - {0})
    return several([f"{n:,}" for n in found], "or") if found else ""


def _corruption(find):
    name = find("corruption.name")
    if not name:
        return ""
    known = CORRUPTIONS.get(name)
    text = known and known.sentence
    text = text or "The input is corrupted by {name} at level {level}."
    text = text.format(name=name, level=find("corruption.level"))
    if span := find("corruption.train_range"):
        span = span if "(" in span else f"({span})"
        span = re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.3g}", span)
        text += f" In training the level is drawn from a range, {span}."
    return text
