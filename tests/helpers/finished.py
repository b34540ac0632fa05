"""Files as finished runs leave them, made up."""

import json
from pathlib import Path
from typing import Any

import numpy as np


def write(path: Path, value: Any) -> None:
    """Writes JSON, and the folder for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_run(run: Path, figures: dict[str, float]) -> None:
    """Writes the rows and pictures of a run whose folder is there."""
    rows = [
        {"step": step, "epoch": step / 10, "split": split, "loss": 1 / (1 + step)}
        | {"psnr": figures["test/psnr"] - 5 / (1 + step)}
        | {f"dc_ripple_db_s{p}": -10.0 for p in (2, 4, 8) if split == "val"}
        for step in (0, 10, 20)
        for split in ("train", "val")
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    images = np.linspace(0, 1, 3 * 8 * 8, dtype=np.float32).reshape(3, 8, 8, 1)
    names = ("target", "input", "output", "flat")
    np.savez(run / "samples.npz", **dict.fromkeys(names, images))
