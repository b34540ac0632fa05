"""caejax from Python: models are trained, loaded and applied to arrays.

`import caejax` has all of this without importing JAX before it is used. What users
do wrong is raised as `CaejaxError`, in one line that names the mend.

**Images** are one, (H, W) or (H, W, C), or many, (N, H, W) or (N, H, W, C), as an
array of NumPy, JAX or PyTorch; or a list of single images, which may be of different
sizes. Channels come last and are as many as the model's; grey images need no axis for
them. Three axes are therefore (H, W, C) if the last one is as long as the model has
channels, and else (N, H, W), for grey models alone. Images may have any size: beyond
the model's own they are done in tiles, as the command `caejax denoise` does.

**Values** are uint8 in 0..255, uint16 in 0..65535, bool, or floats in [0, 1] of any
width. What comes back is NumPy's float32 in [0, 1], of the shape that was given; for a
list, a list.
"""

from __future__ import annotations  # which keeps signatures in help() short

import dataclasses
import functools
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, overload

import jax
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from caejax import config as config_lib
from caejax import weights
from caejax.config import load as config_files
from caejax.data import Dataset
from caejax.errors import CaejaxError
from caejax.files.locks import holding
from caejax.files.paths import expand_folder
from caejax.inference import any_size, trained
from caejax.inference import from_torch as torch_weights
from caejax.inference.arrays import Array, Batch, as_batch, as_codes
from caejax.inference.noise_level import with_level
from caejax.runtime import stopping
from caejax.runtime.startup import start
from caejax.training import loop
from caejax.training.images import load_dataset

__all__ = [
    "Model",
    "decode",
    "default_config",
    "denoise",
    "encode",
    "from_torch",
    "load",
    "load_config",
    "load_data",
    "reconstruct",
    "train",
]

Floats = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A trained model, as `load` returns it.

    Attributes:
      trained: Its config, its Linen module and its parameters.
      source: What it was loaded from.

    Example:
      >>> model = caejax.load(run)
      >>> model.denoise(noisy).shape == noisy.shape
      True
    """

    trained: trained.Trained
    source: str

    @property
    def config(self) -> ConfigDict:
        """The config of the run that trained it; a change to it changes nothing.

        Example:
          >>> model.config.corruption.name
          'gaussian'
        """
        return self.trained.config

    @property
    def params(self) -> Any:
        """Its parameters, nested dicts of JAX arrays as Flax has them.

        They are the averaged ones if the run kept an average, and those of the best
        epoch if it stops early.

        Example:
          >>> sorted(model.params)
          ['decoder', 'encoder']
        """
        return self.trained.params

    @overload
    def denoise(self, images: Array, *, level: float | None = None) -> Floats: ...
    @overload
    def denoise(
        self, images: Sequence[Array], *, level: float | None = None
    ) -> list[Floats]: ...
    def denoise(
        self, images: Array | Sequence[Array], *, level: float | None = None
    ) -> Floats | list[Floats]:
        """Takes the noise out of images; see the function `denoise`.

        Args:
          images: In any form that the function takes; floats may lie beyond [0, 1] by
            their noise.
          level: The standard deviation of the noise, of 255, for a model that is told
            it (`config.model.noise_map`); by default estimated from each image.

        Returns:
          The denoised images, float32 in [0, 1], in the shape of the noisy ones.

        Raises:
          CaejaxError: Images that cannot be used.

        Example:
          >>> model.denoise(noisy[0]).shape
          (16, 16, 1)
        """
        outputs: Floats | list[Floats] = self._images(images, noisy=True, level=level)
        return outputs

    @overload
    def reconstruct(self, images: Array) -> Floats: ...
    @overload
    def reconstruct(self, images: Sequence[Array]) -> list[Floats]: ...
    def reconstruct(self, images: Array | Sequence[Array]) -> Floats | list[Floats]:
        """What the model makes of images; see the function `reconstruct`.

        Args:
          images: In any form that the function takes.

        Returns:
          The reconstructions, float32 in [0, 1], in the shape of the images.

        Raises:
          CaejaxError: Images that cannot be used.

        Example:
          >>> model.reconstruct(clean[0, :, :, 0]).shape
          (16, 16)
        """
        outputs: Floats | list[Floats] = self._images(images, noisy=False)
        return outputs

    @overload
    def encode(self, images: Array) -> Floats: ...
    @overload
    def encode(self, images: Sequence[Array]) -> list[Floats]: ...
    def encode(self, images: Array | Sequence[Array]) -> Floats | list[Floats]:
        """The codes of images; see the function `encode`.

        Args:
          images: In any form that the function takes. Smaller ones than the size of the
            config's images, `config.data.image_size`, are padded to it, also by models
            that were trained on smaller crops.

        Returns:
          A code for one image, (N, ...) for many; a list for a list.

        Raises:
          CaejaxError: Images that cannot be used.

        Example:
          >>> model.encode(clean).shape
          (12, 4, 4, 2)
        """
        run = functools.partial(
            any_size.encode_all, trained.encode(self.trained), self.trained
        )
        codes: Floats | list[Floats]
        codes = self._each(images, run, _codes_as_given, noisy=False)
        return codes

    @overload
    def decode(self, codes: Array) -> Floats: ...
    @overload
    def decode(self, codes: Sequence[Array]) -> list[Floats]: ...
    def decode(self, codes: Array | Sequence[Array]) -> Floats | list[Floats]:
        """The images of codes; see the function `decode`.

        Args:
          codes: As `encode` returns them, of one image or many; or a list.

        Returns:
          (H, W, C) float32 in [0, 1] for one code, (N, H, W, C) for many; a list for
          a list.

        Raises:
          CaejaxError: Codes that are not of this model.

        Example:
          >>> model.decode(model.encode(clean[0])).shape
          (16, 16, 1)
        """
        if isinstance(codes, list | tuple):
            return [self.decode(code) for code in codes]
        shape = tuple(self.trained.model.code_shape)
        array = as_codes(cast(Array, codes), shape)
        run = trained.decode(self.trained)
        flat = array.reshape(-1, *shape)
        # A power of two, so that few programs are compiled.
        size = min(trained.BATCH, 2 ** (len(flat) - 1).bit_length())
        images = np.stack(list(trained.in_batches(run, flat, size=size)))
        leading = array.shape[: array.ndim - len(shape)]
        return images.reshape(*leading, *images.shape[1:])

    def _images(self, images: Any, *, noisy: bool, level: float | None = None) -> Any:
        model = trained.reconstruct(self.trained)

        def run(batch: Floats) -> Floats:
            seen = with_level(batch, self.trained.model.noise_map, level)
            return any_size.apply_to_all(model, self.trained, seen)

        return self._each(images, run, _as_given, noisy=noisy)

    def _each(
        self,
        images: Any,
        run: Callable[[Floats], Floats],
        shaped: Callable[[Floats, Batch], Floats],
        *,
        noisy: bool,
    ) -> Any:
        """Applies a function of (N, H, W, C) to an array, or to a list by size."""
        read = functools.partial(
            as_batch,
            channels=self.trained.model.shape[-1],
            noisy=noisy,
            clip=self.trained.config.corruption.clip,
        )
        if not isinstance(images, list | tuple):
            batch = read(images)
            return shaped(run(batch.images), batch)
        if not images:
            raise CaejaxError("images are an empty list; give at least one")
        batches = [
            read(image, one=True, name=f"images[{i}]") for i, image in enumerate(images)
        ]
        alike = defaultdict(list)
        for i, batch in enumerate(batches):
            alike[batch.images.shape].append(i)
        done: dict[int, Floats] = {}
        for indices in alike.values():
            outputs = run(np.concatenate([batches[i].images for i in indices]))
            done |= dict(zip(indices, outputs, strict=True))
        return [shaped(done[i][None], batch) for i, batch in enumerate(batches)]

    def __repr__(self) -> str:
        config, leaves = self.config, jax.tree.leaves(self.params)
        height, width, channels = self.trained.model.shape
        size, crop = f"{height}x{width}x{channels}", config.train.crop_size
        if crop:  # it has no size of its own
            size = f"{crop}x{crop}x{channels} crops"
        return (
            f"<caejax.Model {config.model.encoder} of {size}, "
            f"{sum(x.size for x in leaves):,} parameters, trained on "
            f"{config.corruption.name} {_levels(config)}, from {self.source}>"
        )


def _levels(config: ConfigDict) -> str:
    """The level that a model was trained at, or the range of those drawn for it."""
    drawn = config.corruption.train_range or (config.corruption.level,)
    grey = [255 * level for level in drawn]
    plain = all(level == round(level, 3) for level in drawn)
    if plain or any(abs(level - round(level)) > 1e-6 for level in grey):
        return " to ".join(f"{level:g}" for level in drawn)
    return f"{' to '.join(f'{level:.0f}' for level in grey)} of 255"


def _as_given(outputs: Floats, batch: Batch) -> Floats:
    return outputs.reshape(batch.shape)


def _codes_as_given(codes: Floats, batch: Batch) -> Floats:
    """Codes (N, rows, columns, ...) without axes that nobody has given or needs."""
    if codes.shape[1:3] == (1, 1):
        codes = codes[:, 0, 0]
    return codes[0] if batch.alone else codes


@functools.cache
def _start(batch_size: int = 1, cores: int = 1) -> None:
    start(batch_size, cores=cores, own=False)


def load(run_or_name: str | os.PathLike[str]) -> Model:
    """Loads a trained model.

    Args:
      run_or_name: The folder of a run, DIR of `caejax run --workdir=DIR`, or of a
        sweep's run, DIR/runs/RUN_ID; also of one that is not finished it is the
        last checkpoint, or that of the best epoch if the run stops early. Or a file
        of `caejax export --format=safetensors`, or the name of a model that ships,
        as "denoiser_gray" for grey photographs.

    Returns:
      The model, its parameters in memory.

    Raises:
      CaejaxError: There is no such folder, file or name, or it holds no trained
        model.

    Example:
      >>> caejax.load(run)
      <caejax.Model conv of 16x16x1, 459 parameters, trained on gaussian 0.5, from ...>
    """
    if not isinstance(run_or_name, str | os.PathLike):
        raise CaejaxError(
            f"a model is loaded by {weights.models()}; this is "
            f"{type(run_or_name).__name__}"
        )
    _start()
    return Model(trained.find(run_or_name), str(run_or_name))


def from_torch(
    state: Mapping[str, Any], config: ConfigDict | str | os.PathLike[str]
) -> Model:
    """A model with the weights of a PyTorch module of the same architecture.

    Args:
      state: The module's `state_dict()`. Its names are those of caejax's parameters,
        as `caejax export --format=safetensors` has them, but for "weight" instead of
        "kernel"; its layouts are PyTorch's.
      config: The config of the model, or its name or file.

    Returns:
      The model.

    Raises:
      CaejaxError: Weights that are not those of the config's model.

    Example:
      >>> caejax.from_torch({}, model.config)
      Traceback (most recent call last):
      caejax.errors.CaejaxError: the PyTorch weights: not of the config's model: ...
    """
    _start()
    return Model(torch_weights.load(state, _config(config)), "PyTorch")


def _loaded(model: Model | str | os.PathLike[str]) -> Model:
    return model if isinstance(model, Model) else load(model)


def train(
    config: ConfigDict | str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    *,
    verbose: bool = True,
) -> dict[str, Any]:
    """Trains one model, or what is left to do of it, as `caejax run` does.

    `caejax report --workdir=WORKDIR` draws its figures and its page.

    Args:
      config: The config of a single run, or its name or file. A sweep's is refused: set
        `config.sweep = {}`, or do the sweep with `caejax run`.
      workdir: The run's folder, to be made. If it holds part of this run, that goes
        on from its last checkpoint; if it holds all of it, nothing is trained.
      verbose: Show progress.

    Returns:
      The run's summary, as in `summary.json`: "test/psnr", "params" and so on.

    Raises:
      CaejaxError: A config or data that cannot be used, a sweep, a folder of another
        run or at work, or a loss that is not finite.
      KeyboardInterrupt: Ctrl-C. It comes after the steps at hand, and what has been
        done is saved; a second one comes at once.

    Example:
      >>> config = model.config.copy_and_resolve_references()
      >>> config.train.epochs = 1
      >>> summary = caejax.train(config, folder / "new", verbose=False)
      >>> summary["epochs"], summary["params"]
      (1, 459)
    """
    config, folder = _config(config), expand_folder(workdir, "workdir")
    if config.sweep:
        raise CaejaxError(
            "the config is a sweep, and train() does one run: set config.sweep = {} "
            "for that, or do the sweep by the command caejax run"
        )
    _start(config.train.batch_size, cores=0)
    with holding(folder / ".lock", wait=False) as mine:
        if not mine:
            raise CaejaxError(
                f"another process trains in {folder}; wait for it or choose another "
                "workdir"
            )
        # In the midst of JAX's work, a KeyboardInterrupt could be lost.
        with stopping.heeding_ctrl_c():
            return loop.train(config, folder, verbose=verbose)


def _config(config: Any) -> ConfigDict:
    """A config of one's own, whole and locked, from one or its name."""
    if isinstance(config, str | os.PathLike):
        return config_files.load_config(config)
    if not isinstance(config, ConfigDict):
        raise CaejaxError(
            f"a config is what caejax.default_config() returns, a name or a file, and "
            f"this is {type(config).__name__}"
        )
    return config_lib.from_json(config_lib.to_json(config))


@overload
def denoise(
    images: Array,
    model: Model | str | os.PathLike[str] | None = None,
    *,
    level: float | None = None,
) -> Floats: ...
@overload
def denoise(
    images: Sequence[Array],
    model: Model | str | os.PathLike[str] | None = None,
    *,
    level: float | None = None,
) -> list[Floats]: ...
def denoise(
    images: Array | Sequence[Array],
    model: Model | str | os.PathLike[str] | None = None,
    *,
    level: float | None = None,
) -> Floats | list[Floats]:
    """Takes the noise out of images.

    Args:
      images: One image, (H, W) or (H, W, C); many, (N, H, W) or (N, H, W, C); or a list
        of single ones, which may differ in size. Arrays of NumPy, JAX or PyTorch:
        uint8, uint16, bool or floats in [0, 1], channels last. Three axes are
        (H, W, C) if the last one is as long as the model has channels, and else, for
        grey models, (N, H, W). Images larger than the model's are done in tiles.
        Floats may lie beyond [0, 1] where noise has taken them (down to -4, up to 5);
        they are clipped if they were in training.
      model: A model, or what `load` takes. For many calls, load it once. By default
        the denoiser that ships: that of colour photographs for three channels, and
        else that of grey ones.
      level: The standard deviation of the noise, of 255, for a model that is told it
        (`config.model.noise_map`); by default estimated from each image.

    Returns:
      The denoised images, float32 in [0, 1], in the shape of the noisy ones; a list
      for a list.

    Raises:
      CaejaxError: Images or a model that cannot be used.

    Example:
      >>> caejax.denoise(noisy, model).shape
      (12, 16, 16, 1)
      >>> photo = np.zeros((50, 37), np.uint8)
      >>> [x.shape for x in caejax.denoise([photo, noisy[0]], model)]
      [(50, 37), (16, 16, 1)]
      >>> caejax.denoise(np.zeros((50, 37, 3), np.uint8)).shape
      (50, 37, 3)
    """
    model = _that_ships(images) if model is None else _loaded(model)
    return model.denoise(images, level=level)


def _that_ships(images: Array | Sequence[Array]) -> Model:
    """The denoiser for as many channels as the images, or the first of a list, have."""
    first = images[0] if isinstance(images, list | tuple) and images else images
    shape = np.shape(first)
    # Of four, one is transparency: then it is that of colours that refuses them.
    return load(weights.DENOISERS[3 if len(shape) > 2 and shape[-1] in (3, 4) else 1])


@overload
def reconstruct(images: Array, model: Model | str | os.PathLike[str]) -> Floats: ...
@overload
def reconstruct(
    images: Sequence[Array], model: Model | str | os.PathLike[str]
) -> list[Floats]: ...
def reconstruct(
    images: Array | Sequence[Array], model: Model | str | os.PathLike[str]
) -> Floats | list[Floats]:
    """What a model makes of images; nothing is added to them.

    Args:
      images: One image, (H, W) or (H, W, C); many, (N, H, W) or (N, H, W, C); or a list
        of single ones, which may differ in size. Arrays of NumPy, JAX or PyTorch:
        uint8, uint16, bool or floats in [0, 1], channels last. Three axes are
        (H, W, C) if the last one is as long as the model has channels, and else, for
        grey models, (N, H, W). Images larger than the model's are done in tiles.
      model: A model, or what `load` takes.

    Returns:
      The reconstructions, float32 in [0, 1], in the shape of the images; a list for a
      list.

    Raises:
      CaejaxError: Images or a model that cannot be used.

    Example:
      >>> caejax.reconstruct(clean, model).dtype
      dtype('float32')
    """
    return _loaded(model).reconstruct(images)


@overload
def encode(images: Array, model: Model | str | os.PathLike[str]) -> Floats: ...
@overload
def encode(
    images: Sequence[Array], model: Model | str | os.PathLike[str]
) -> list[Floats]: ...
def encode(
    images: Array | Sequence[Array], model: Model | str | os.PathLike[str]
) -> Floats | list[Floats]:
    """The codes of images.

    Args:
      images: One image, (H, W) or (H, W, C); many, (N, H, W) or (N, H, W, C); or a list
        of single ones, which may differ in size. Arrays of NumPy, JAX or PyTorch:
        uint8, uint16, bool or floats in [0, 1], channels last. Three axes are
        (H, W, C) if the last one is as long as the model has channels, and else, for
        grey models, (N, H, W). Images smaller than the model's are filled up with
        their outermost pixels. A model's size is that of its config's images,
        `model.config.data.image_size`, also where it was trained on smaller crops: it
        is 321 x 481 for "denoiser_gray", so that each code is (81, 121, 64).
      model: A model, or what `load` takes.

    Returns:
      A code for one image, (N, ...) for many, float32; a list for a list. Images that
      are larger than the model's are cut into tiles of its own size side by side, and
      each tile has a code: (rows, columns, ...) for one, (N, rows, columns, ...) for
      many.

    Raises:
      CaejaxError: Images or a model that cannot be used.

    Example:
      >>> caejax.encode(clean[0], model).shape
      (4, 4, 2)
      >>> caejax.encode(np.zeros((32, 48)), model).shape
      (2, 3, 4, 4, 2)
    """
    return _loaded(model).encode(images)


@overload
def decode(codes: Array, model: Model | str | os.PathLike[str]) -> Floats: ...
@overload
def decode(
    codes: Sequence[Array], model: Model | str | os.PathLike[str]
) -> list[Floats]: ...
def decode(
    codes: Array | Sequence[Array], model: Model | str | os.PathLike[str]
) -> Floats | list[Floats]:
    """The images of codes.

    Args:
      codes: As `encode` returns them, with any axes before those of a code; or a list.
      model: A model, or what `load` takes.

    Returns:
      For each code an image (H, W, C) of the model's own size, float32 in [0, 1],
      with the same axes before; a list for a list.

    Raises:
      CaejaxError: Codes or a model that cannot be used.

    Example:
      >>> codes = caejax.encode(clean, model)
      >>> between = caejax.decode((codes[0] + codes[1]) / 2, model)
      >>> between.shape
      (16, 16, 1)
    """
    return _loaded(model).decode(codes)


def default_config() -> ConfigDict:
    """The config of a small denoiser of drawn digits, to be changed.

    Returns:
      A new config with every field that there is; others cannot be added.

    Example:
      >>> config = caejax.default_config()
      >>> config.model.upsampling = "deconv_k4"
      >>> config.train.epoch = 3
      Traceback (most recent call last):
      UnknownField: config has no field 'epoch' (did you mean 'train.epochs'?) ...
    """
    return config_lib.default()


def load_config(name_or_path: str | os.PathLike[str]) -> ConfigDict:
    """Reads a config that ships with caejax, or a config file.

    Args:
      name_or_path: "quickstart", "seeds/b_basic" and so on, or a file with a function
        `get_config`. A file that exists goes before a name.

    Returns:
      The config, in which values can be changed and no fields added.

    Raises:
      CaejaxError: There is no such file or name, or the file fails.

    Example:
      >>> caejax.load_config("quickstart").train.batch_size
      32
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise CaejaxError(
            f"a config is loaded by name or file, and this is "
            f"{type(name_or_path).__name__}"
        )
    return config_files.load_config(name_or_path)


def load_data(config: ConfigDict | str | os.PathLike[str]) -> Dataset:
    """Loads the images that a config's runs are trained and measured on.

    Args:
      config: A config, or the name or the file of one; its section `data` counts.

    Returns:
      Parts `train`, `val` and `test`, each with `images`, (N, H, W, C) float32 in
      [0, 1], and `labels`, (N,) int32 or None; NumPy arrays, without corruption.

    Raises:
      CaejaxError: Data that is missing, damaged, or of another size than the config's.

    Example:
      >>> data = caejax.load_data(model.config)
      >>> data.test.images.shape, data.test.labels.dtype
      ((12, 16, 16, 1), dtype('int32'))
    """
    return load_dataset(_config(config))
