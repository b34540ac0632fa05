"""What a run writes for TensorBoard: curves, pictures, its config and its settings.

Few tags, each a name that people read: "PSNR_dB/val" stands beside "PSNR_dB/train".

Files of TensorBoard are written here, because the thread in which tensorboardX does it
would die of a full disk unheard. It is imported with the first event, if it has not
been before, so that training need not wait for it.
"""

import contextlib
import functools
import importlib
import io
import itertools
import json
import re
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caejax.config.ids import NOT_OF_A_RUN
from caejax.files.atomic import Row, naming
from caejax.metrics.table import METRICS, find, readings, title

_TRAINING = ("images_per_second", "grad_norm")  # of rows of training, besides curves
_WIDEST = 2048  # pixels of pictures side by side
_SMALL = 112  # pixels; lower pictures are enlarged
_DECADES = 5  # of a spectrum, from black to white


class Board:
    """Appends events to one file of TensorBoard, which begins with the first.

    Args:
      workdir: the run's folder.
      step: the restored checkpoint's step, None for a fresh start. What an earlier file
        has of later steps, or has at all, is declared void.
      config: the run's config as a nested dict, which is written first; None for none.
    """

    def __init__(self, workdir: Path, step: int | None, config: Mapping | None = None):
        self._workdir, self._step, self._config = workdir, step, config

    @functools.cached_property
    def _file(self):
        folder = self._workdir / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}"
        for number in itertools.count():  # several may begin in a second
            with contextlib.suppress(FileExistsError):
                return (folder / f"{name}.{number}").open("xb")

    def row(self, row: Row) -> None:
        """Writes those values of a row of metrics.jsonl that have a curve."""
        self._write(_of_row(row))

    def curve(self, step: int, loss: float, psnr: float) -> None:
        """Writes the mean training loss and PSNR (dB) of the steps since the last."""
        values = {"loss": loss, "psnr": psnr}
        self._write(_scalar(name, "train", step, x) for name, x in values.items())

    def pictures(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes pictures by name.

        Args:
          step: the step at which they were made.
          arrays: images (B, H, W, C) in [0, 1], or a spectrum (H, W) that is at least 0
            and whose mean is at the corner.
        """
        self._write(_image(name, step, x) for name, x in arrays.items())

    def close(self) -> None:
        """Closes the file, if it was begun."""
        if "_file" in self.__dict__:
            self._file.close()

    def _write(self, events):
        with naming(self._workdir / "tensorboard"):
            if not self._file.tell():
                self._file.write(b"".join(map(_record, self._head())))
            self._file.write(b"".join(map(_record, events)))
            self._file.flush()

    def _head(self):
        yield from _file_head(self._step)
        if self._config is not None:
            yield from _about(self._config)


def load_tensorboard() -> None:
    """Imports what the first event would have to wait for."""
    for part in ("proto.event_pb2", "record_writer", "summary"):
        importlib.import_module(f"tensorboardX.{part}")


def tag(name: str, split: str) -> str:
    """What a value is called in TensorBoard: "PSNR_dB/val" of psnr."""
    return f"{re.sub(r'[^A-Za-z0-9.]+', '_', title(name)).strip('_')}/{split}"


@functools.cache
def curves() -> frozenset[str]:
    """Names of the measured values that have a curve: those that tables show first.

    A metric that does not say what tables show of it has one of each of its values.
    """
    brief = [name for metric in METRICS.values() for name in metric.brief]
    names = {name.removeprefix("test/") for name in brief}
    for metric in METRICS.values():
        if metric.columns is None and metric.needs != "input":
            names |= {reading.column for reading in readings(metric)}
    return frozenset({"loss", *names})


def _of_row(row):
    split, step = row["split"], row["step"]
    for name, value in row.items():
        if split == "train" and name in _TRAINING:
            yield _event(step, _summary().scalar(f"training/{name}", value))
        elif split != "train" and name in curves():
            yield _scalar(name, split, step, value)
    if split == "test":
        yield _event(step, _summary().hparams({}, {})[2])


def _scalar(name, split, step, value):
    found = find(name)
    text = found.metric.text if found else ""
    name, title_ = tag(name, split), f"{title(name)}, {split}"
    return _event(step, _summary().scalar(name, value, title_, text))


def _about(config: Mapping[str, Any]) -> Iterator[Any]:
    """The config as text, and what it sets as hparams."""
    lines = json.dumps(config, indent=2, default=str).splitlines()
    # Markdown, in which four spaces make code.
    yield _event(0, _summary().text("config", "\n".join(f"    {x}" for x in lines)))
    settings = dict(_flat({k: x for k, x in config.items() if k not in NOT_OF_A_RUN}))
    measured = {tag(name, "test"): 0.0 for name in sorted(curves())}
    for summary in _summary().hparams(settings, measured)[:2]:
        yield _event(0, summary)


def _flat(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            simple = isinstance(value, bool | int | float | str)
            yield f"{prefix}{name}", value if simple else str(value)


def _image(name, step, array):
    from PIL import Image

    picture = _spectrum(array) if array.ndim == 2 else _side_by_side(array)
    picture = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    times = max(1, _SMALL // len(picture))
    picture = picture.repeat(times, 0).repeat(times, 1)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    from tensorboardX.proto.summary_pb2 import Summary

    image = Summary.Image(
        height=picture.shape[0],
        width=picture.shape[1],
        colorspace=1 if picture.ndim == 2 else 3,
        encoded_image_string=file.getvalue(),
    )
    value = Summary.Value(tag=f"pictures/{name}", image=image)
    return _event(step, Summary(value=[value]))


def _side_by_side(images):
    """As many of (B, H, W, C) as there is room for, with a white line between them.

    Of other numbers of channels than one and three, each is a picture by itself.
    """
    count = max(1, _WIDEST // (images.shape[2] + 1))
    shown = [np.pad(x, ((0, 0), (0, 1), (0, 0)), constant_values=1) for x in images]
    row = np.concatenate(shown[:count], 1)[:, :-1]
    if row.shape[-1] == 3:
        return row
    return np.concatenate(np.moveaxis(row, -1, 0))


def _spectrum(power):
    """The logarithm of a spectrum, its mean in the middle, as a picture in [0, 1]."""
    highest = power.max() or 1.0
    share = np.maximum(np.fft.fftshift(power) / highest, 10.0**-_DECADES)
    return 1 + np.log10(share) / _DECADES


def _summary():
    from tensorboardX import summary

    return summary


def _event(step, summary):
    from tensorboardX.proto.event_pb2 import Event

    return Event(summary=summary, step=step, wall_time=time.time())


def _record(event):
    from tensorboardX.record_writer import masked_crc32c

    data = event.SerializeToString()
    size = struct.pack("<Q", len(data))
    sums = (struct.pack("<I", masked_crc32c(part)) for part in (size, data))
    return size + next(sums) + data + next(sums)


def _file_head(step):
    """Says what the file is, and that what an earlier one has after a step is void."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    about = {"file_version": "brain.Event:2", "wall_time": time.time()}
    first = 0 if step is None else step + 1
    yield Event(**about)
    yield Event(step=first, **about)
    log = SessionLog(status=SessionLog.START)
    yield Event(step=first, session_log=log, wall_time=time.time())
