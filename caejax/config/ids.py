"""Names of runs and of what they share: hashes of configs as plain data.

For reports, too: JAX is not imported.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Which runs there are, how they get done and what is done after them: not what one is.
NOT_OF_A_RUN = ("sweep", "sweep_exclude", "tune", "executor", "references")
# Fields that are newer than ids, of which they are no part at these values.
_NEWER = {
    "code_penalty": 0.0,
    "model.decoder_widths": [],
    "model.downsampling": "max_pool",
    "model.skips": "none",
    "model.refine": 0,
    "model.encoder_refine": 0,
    "model.residual": False,
    "model.noise_map": False,
    "corruption.train_range": [],
    "corruption.clip": True,
    "optimizer.clip_norm": 0.0,
    "train.steps_per_epoch": 0,
    "train.crop_size": 0,
    "train.augment": False,
    "train.halved": 0.0,
    "train.recolored": 0.0,
    "corruption.params.salt": 0.5,
    "corruption.params": {},
    "data.params": {},
    "loss_params": {},
}
# What every kind of model had when ids began, whether it applied or not.
_MODEL = {
    "encoder_layers": [],
    "decoder_layers": [],
    "widths": [16, 32, 32],
    "latent_channels": 8,
    "bottleneck": "projection",
    "upsampling": "nearest_k3",
    "code_activation": "linear",
    "path": "auto",
}
_TIED = {"widths": []}  # which it had to be


def run_id(config: Mapping[str, Any]) -> str:
    """Names a run: 10 hexadecimal digits of the resolved config's SHA-256.

    Sweeps and executors are not part of it, nor are fields that came later where they
    have their defaults, so that old folders are found again.

    Args:
      config: the config as nested dicts, as `ConfigDict.to_dict` or its JSON gives
        it.
    """
    run = {name: value for name, value in config.items() if name not in NOT_OF_A_RUN}
    model = run.get("model", {})
    tied = _TIED if model.get("encoder") == "tied_dense" else {}
    run |= {"model": {**_MODEL, **tied, **model}, "sweep": {}}
    lines = (_lines(name, _compact(run[name])) for name in sorted(run))
    return _hash("{\n" + ",\n".join(filter(None, lines)) + "\n}")


@functools.lru_cache(4096)  # of thousands of runs, most sections are the same
def _lines(name, compact):
    """A field or section in indented JSON as ever, so that folders are found."""
    values = _without_newer({name: json.loads(compact)})
    return json.dumps(values, indent=2, sort_keys=True)[2:-2]


def setting_id(config: Mapping[str, Any]) -> str:
    """Names what noisy images depend on, as `run_id`: data, corruption and seed."""
    setting = {name: config[name] for name in ("data", "corruption", "seed")}
    return _hash(_compact(_without_newer(json.loads(_compact(setting)))))


def _compact(values):
    return json.dumps(values, sort_keys=True)


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _without_newer(values, prefix=""):
    kept = {}
    for name, value in values.items():
        field = prefix + name
        if isinstance(value, dict):
            value = _without_newer(value, f"{field}.")
        if field not in _NEWER or value != _NEWER[field]:
            kept[name] = value
    return kept
