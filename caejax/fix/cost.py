"""What mending has cost a model, and what to do about it, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from caejax.report.words import joined

MUCH_DB = 0.5  # of PSNR; a loss of less is not worth another training

# What keeps the phases of a kind equal while it trains, with the same parameters.
TIED = {
    "deconv_k4": "deconv_k4_tied",
    "shuffle_k3": "shuffle_tied",
    "shuffle_icnr": "shuffle_tied",
}
# What of another kind is trained instead, and draws no grid: a resize and a
# convolution, and a transposed convolution whose phases are kept equal.
INSTEAD = ("nearest_k3", "deconv_k4_tied")


def without_tied(kinds: Sequence[str], field: str) -> str:
    """That kinds have no tied form, and what to train in their place.

    Args:
      kinds: names of such kinds, at least one.
      field: of the config, that names the kinds of the model.
    """
    has = "has" if len(kinds) == 1 else "have"
    flag = f" --config.{field}={INSTEAD[0]}" * (field == "model.upsampling")
    return (
        f"{joined(kinds)} {has} no form whose phases stay equal in training "
        f"({joined([*TIED])} have one); train a model of another kind, which draws no "
        f"grid, with {INSTEAD[0]} or {INSTEAD[1]} in config.{field}: caejax run "
        f"--config=CONFIG{flag} --workdir=DIR"
    )


def of_run(quality: Mapping[str, Any], untied: str, out: str) -> str:
    """A warning where a run that was mended is much worse; "" where it is not.

    Args:
      quality: the record's, PSNR on the run's own test images.
      untied: what `without_tied` says of the model's kinds; "" if all have a tied form.
      out: where the mended run is.
    """
    before, after = quality["before_psnr_db"], quality["after_psnr_db"]
    loss = before - after
    if loss <= MUCH_DB:
        return ""
    if untied:
        mend = f"do not use it. {untied}"
    elif "epochs" not in quality:
        mend = (
            "do not use it as it is. Give the command again with --finetune=2 and "
            "another --out: it is then trained further with its phases kept equal"
        )
    elif before - quality["finetuned_psnr_db"] <= MUCH_DB:
        mend = f"use {quality['finetuned_out']}, which was trained further"
    else:
        lost = before - quality["finetuned_psnr_db"]
        mend = (
            f"and {quality['finetuned_out']} still {lost:.2f} dB worse; train longer, "
            f"with --finetune={2 * quality['epochs']} and another --out"
        )
    return (
        f"warning: {out} is {loss:.2f} dB worse than before on its own test images "
        f"({before:.2f} to {after:.2f} dB PSNR): {mend}"
    )


def loss(record: Mapping[str, Any]) -> float | None:
    """By how many dB of PSNR a mended model is worse; the most that was measured.

    Args:
      record: of what was mended; of a run that was trained further that one counts.

    Returns:
      Less than 0 where it is better; None where it was not measured.
    """
    quality, moved = record["quality"] or {}, record["images"]
    found = []
    if quality:
        after = quality.get("finetuned_psnr_db", quality["after_psnr_db"])
        found.append(quality["before_psnr_db"] - after)
    if moved and moved["targets"] and "epochs" not in quality:
        found.append(-moved["targets"]["change"]["mean_db"])
    return max(found, default=None)


def on_targets(moved: Mapping[str, Any] | None, out: str) -> str:
    """A warning where a model is much further from what should come out.

    Args:
      moved: how its outputs moved; see `caejax.fix.effect.measure`. None of no images.
      out: where the mended model is.
    """
    near = moved and moved["targets"]
    loss = -near["change"]["mean_db"] if near else 0.0
    if loss <= MUCH_DB:
        return ""
    return (
        f"warning: {out} is {loss:.2f} dB worse than before against the targets "
        f"({near['before']['mean_db']:.2f} to {near['after']['mean_db']:.2f} dB "
        "PSNR): do not use it as it is; train it further, or a model with a nearest "
        "or bilinear resize and a convolution instead"
    )


NOT_MEASURED = (
    "how much worse the outputs are was not measured; for that, give --images=DIR, "
    "the inputs, and --targets=DIR, what should come out for these (the same names)"
)
