"""The interface as type checkers see it: read by mypy, and never run."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import caejax
from caejax.data import Dataset
from caejax.diagnose import Diagnosis
from caejax.fix import Fixed, fix_file
from caejax.measure import Measurement

Floats = NDArray[np.float32]

model = caejax.load("runs/mine")
assert_type(model, caejax.Model)
assert_type(caejax.load(Path("runs/mine")), caejax.Model)

grey = np.zeros((28, 28), np.uint8)
assert_type(model.denoise(grey), Floats)
assert_type(model.denoise([grey, grey]), list[Floats])
assert_type(model.reconstruct((grey,)), list[Floats])
assert_type(model.decode(model.encode(grey)), Floats)
assert_type(caejax.denoise(grey, model), Floats)
assert_type(caejax.denoise([grey, grey]), list[Floats])
assert_type(caejax.reconstruct(grey, "runs/mine"), Floats)
assert_type(caejax.encode([grey], Path("runs/mine")), list[Floats])
assert_type(caejax.decode(caejax.encode(grey, model), model), Floats)

config = caejax.default_config()
assert_type(caejax.train(config, Path("runs/new"), verbose=False), dict[str, Any])
assert_type(caejax.train("quickstart", "runs/new"), dict[str, Any])
assert_type(caejax.load_data(caejax.load_config("quickstart")), Dataset)
assert_type(caejax.load_data(config).test.images, NDArray[Any])
assert_type(caejax.__version__, str)
assert_type(fix_file("a.onnx", "b.onnx"), Fixed)
assert_type(caejax.fix(object()), Any)
assert_type(caejax.diagnose("a.onnx", threshold_db=-60.0), Diagnosis)
assert_type(caejax.measure(grey, ref=None), Measurement)
assert_type(caejax.metrics.__name__, str)

caejax.denoise("photo.png", model)  # type: ignore[arg-type]
caejax.load(3)  # type: ignore[arg-type]
caejax.train(config)  # type: ignore[call-arg]
