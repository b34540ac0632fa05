"""The kinds of upsampling layer: plain data, and what follows from it.

Every kind doubles height and width and is one filter h at the high resolution
(see `caejax.ops.polyphase`), made from its kernel parameter as

    h = painted * fixed

where `painted` is what the kernel alone draws around an input pixel, and `fixed`
are the taps of a resize or a blur, along both axes. A fixed filter with a zero at
every lattice frequency gives all output phases the same gain, whatever is learnt.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from caejax.errors import did_you_mean
from caejax.ops.polyphase import interleave, smooth

STRIDE = 2
RESIZES = ("linear", "cubic")  # methods of `jax.image`

BOX = (1.0, 1.0)
_TRIANGLE = (0.25, 0.75, 0.75, 0.25)
# Keys' cubic with a = -1/2, a quarter and three quarters of a pixel off centre.
_CUBIC = tuple(w / 128 for w in (-3, -9, 29, 111, 111, 29, -9, -3))


class Kind(NamedTuple):
    """How one kind of layer makes its filter, runs it and starts.

    Attributes:
      doc: definition, source, condition under which constant inputs stay free of
        checkerboards, and cost for C input and F output channels: parameters with
        the bias, and multiplications per low-resolution pixel as the layer is run.
      kernel_size: side k of the kernel parameter.
      origin: place of the filter's first tap, in output pixels.
      fixed: one axis of the fixed filter.
      run: "filter", as one filter; "linear" or "cubic", that resize of
        `jax.image`, then the convolution; "average" or "blur", the painted filter,
        then the fixed one, where the average repeats the edges above and on the
        left. All others see zeros around them.
      transposed: whether the kernel is that of `nn.ConvTranspose`, not of `nn.Conv`.
      phases: number of phases that lie side by side in the kernel's channels, the
        phase outermost, and are shuffled into place; 1 where none are.
      group: number of consecutive input channels that are added up first.
      variance: factor that makes the variance of scaled initialisers right where
        their fan-in does not count what an output pixel really adds up.
      tied: whether all phases of a shuffle start with the same kernel.
    """

    doc: str
    kernel_size: int
    origin: int
    fixed: tuple[float, ...] = (1.0,)
    run: str = "filter"
    transposed: bool = False
    phases: int = 1
    group: int = 1
    variance: float = 1.0
    tied: bool = False


def _deconv(k: int) -> Kind:
    overlap = (
        "phases have equally many taps"
        if k % STRIDE == 0
        else "and phases have unequally many taps, hence unequal power too"
    )
    return Kind(
        f"""Transposed convolution {k} x {k} of stride 2, SAME as in Flax.

        Zeiler et al., "Deconvolutional networks", 2010; Odena, Dumoulin & Olah,
        "Deconvolution and checkerboard artifacts", Distill 2016. Free of
        checkerboards only where the kernel's sums over the four phases happen to
        be equal; {overlap}.
        Parameters {k * k} C F + F; multiplications {k * k} C F.""",
        kernel_size=k,
        origin=1 - k // 2,
        transposed=True,
        # An output pixel meets one tap in stride**2.
        variance=STRIDE**2,
    )


UPSAMPLING: dict[str, Kind] = {
    "deconv_k2": _deconv(2),
    "deconv_k3": _deconv(3),
    "deconv_k4": _deconv(4),
    "deconv_k5": _deconv(5),
    "deconv_k6": _deconv(6),
    "nearest_k3": Kind(
        """Nearest-neighbour resize, then convolution 3 x 3.

        Odena, Dumoulin & Olah, Distill 2016. Free of checkerboards for every
        kernel: all phases have the gain of the kernel's sum.
        Parameters 9 C F + F; multiplications 16 C F.""",
        kernel_size=3,
        origin=-1,
        fixed=BOX,
    ),
    "bilinear_k3": Kind(
        """Bilinear resize, then convolution 3 x 3.

        Odena, Dumoulin & Olah, Distill 2016. Free of checkerboards for every
        kernel, as nearest_k3.
        Parameters 9 C F + F; multiplications 36 C F.""",
        kernel_size=3,
        origin=-2,
        fixed=_TRIANGLE,
        run="linear",
    ),
    "bicubic_k3": Kind(
        """Bicubic resize (a = -1/2), then convolution 3 x 3.

        Keys, "Cubic convolution interpolation for digital image processing",
        1981. Free of checkerboards for every kernel, as nearest_k3.
        Parameters 9 C F + F; multiplications 36 C F.""",
        kernel_size=3,
        origin=-4,
        fixed=_CUBIC,
        run="cubic",
    ),
    "shuffle_k3": Kind(
        """Sub-pixel convolution: 3 x 3 to 4 F channels, then depth-to-space.

        Shi et al., arXiv 1609.05158. Free of checkerboards only where the sums
        of the four phases' kernels happen to be equal. One bias for all phases: a
        bias each would draw a checkerboard by itself.
        Parameters 36 C F + F; multiplications 36 C F.""",
        kernel_size=3,
        origin=-2,
        phases=STRIDE**2,
    ),
    "shuffle_icnr": Kind(
        """As shuffle_k3, all four phases starting with the same kernel.

        Aitken et al., arXiv 1707.02937. Free of checkerboards at initialisation;
        nothing keeps the phases equal in training.
        Parameters 36 C F + F; multiplications 36 C F.""",
        kernel_size=3,
        origin=-2,
        phases=STRIDE**2,
        tied=True,
    ),
    "shuffle_hold": Kind(
        """As shuffle_icnr, then an average over 2 x 2 pixels, stride 1.

        Sugawara & Kiya, arXiv 1806.02658 (the zero-order hold); Aitken et al.,
        arXiv 1707.02937, as a blur behind the shuffle. Free of checkerboards for
        every kernel: each average takes one pixel of every phase, so all have the
        mean of their gains. The average itself adds, without the kernel.
        Parameters 36 C F + F; multiplications 36 C F.""",
        kernel_size=3,
        origin=-2,
        fixed=(0.5, 0.5),
        run="average",
        phases=STRIDE**2,
        tied=True,
    ),
    "deconv_k3_fir": Kind(
        """Transposed convolution 3 x 3, then the fixed filter [1, 3, 3, 1] / 4.

        Karras et al. (StyleGAN2), arXiv 1912.04958; Kinoshita & Kiya, arXiv
        2002.02117. Free of checkerboards for every kernel: all phases have the
        gain of the kernel's sum.
        Parameters 9 C F + F; multiplications 9 C F.""",
        kernel_size=3,
        origin=-2,
        fixed=_TRIANGLE,
        run="blur",
        transposed=True,
    ),
    "bilinear_additive": Kind(
        """Bilinear resize, sums of four channels, then convolution 3 x 3.

        Wojna et al., arXiv 1707.05847, without the residual connection. The last
        sum has fewer terms where four does not divide C. Free of checkerboards
        for every kernel, as nearest_k3.
        Parameters 2.25 C F + F; multiplications 9 C F.""",
        kernel_size=3,
        origin=-2,
        fixed=_TRIANGLE,
        run="linear",
        group=4,
        # The sum of four channels has four times their variance.
        variance=1 / 4,
    ),
}


def find_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
      ValueError: no such kind; names the nearest.
    """
    if name not in UPSAMPLING:
        raise ValueError(
            f"kind is {name!r}{did_you_mean(name, UPSAMPLING)}; "
            f"known: {', '.join(UPSAMPLING)}"
        )
    return UPSAMPLING[name]


def check_kernel(shape: tuple[int, ...], name: str) -> Kind:
    """The kind of that name, if a kernel parameter of it can have that shape.

    Raises:
      ValueError: no such kind, or a kernel that is not of it.
    """
    kind = find_kind(name)
    k = kind.kernel_size
    if len(shape) != 4 or shape[:2] != (k, k) or shape[3] % kind.phases:
        features = f"{kind.phases}F" if kind.phases > 1 else "F"
        raise ValueError(
            f"kernel has shape {tuple(shape)}; {name} needs ({k}, {k}, C, {features})"
        )
    return kind


def kernel_shape(kind: Kind, channels: int, features: int) -> tuple[int, ...]:
    """Shape of the kernel parameter from C to F channels."""
    k, sums = kind.kernel_size, -(-channels // kind.group)
    return k, k, sums, kind.phases * features


def layer_filter(kernel: jax.Array, kind: Kind) -> jax.Array:
    """A layer's whole filter at the high resolution, for any input channel.

    Args:
      kernel: float32 kernel parameter, shaped as `kernel_shape` says.
      kind: the layer's kind.

    Returns:
      The filter, (L, L, C, F) float32, C a multiple of `kind.group`: the layer's
      response to one pixel, but for the borders.
    """
    h = smooth(painted_filter(kernel, kind), kind.fixed)
    return jnp.repeat(h, kind.group, axis=2)


def painted_filter(kernel: jax.Array, kind: Kind) -> jax.Array:
    """What the kernel draws around an input pixel before the fixed filter.

    Args:
      kernel: kernel parameter, shaped as `kernel_shape` says.
      kind: the layer's kind.

    Returns:
      The painted filter, (k, k, C', F), or (2k, 2k, C', F) of a shuffle; C' counts
      sums of `kind.group` channels.
    """
    if kind.phases > 1:
        return interleave(kernel, STRIDE)
    # Flax's layers correlate, so the picture they draw is the kernel turned.
    return jnp.flip(kernel, (0, 1))


def parameters(kind: Kind, channels: int, features: int) -> int:
    """Numbers learnt from C to F channels, bias included."""
    return math.prod(kernel_shape(kind, channels, features)) + features


def valid_growth(kind: Kind) -> int | None:
    """How many pixels more than twice its input's a side has with VALID padding.

    That of the convolution behind a resize takes the border away; that of a
    transposed convolution keeps all that the kernel paints, as PyTorch does without
    padding. None for other kinds, which have no such stock layer.
    """
    if kind.transposed and kind.fixed == (1.0,):
        return kind.kernel_size - STRIDE
    if kind.transposed or kind.phases > 1:
        return None
    return 1 - kind.kernel_size


def multiplications(kind: Kind, channels: int, features: int) -> int:
    """Products with the kernel per low-resolution pixel from C to F channels.

    As run, away from the border: each tap of the filter meets each input pixel
    once, those of a convolution behind a resize each output pixel. Not counted are
    zeros that fill a filter up to whole phases and what a resize, a blur or an
    average does to each channel by itself.
    """
    length = kind.kernel_size * (STRIDE if kind.phases > 1 else 1)
    if kind.run == "filter":
        length += len(kind.fixed) - 1
    elif kind.run in RESIZES:
        length *= STRIDE
    return length**2 * -(-channels // kind.group) * features
