"""The kinds of upsampling layer: plain data, and what follows from it.

Every kind doubles height and width and is one filter h at the high resolution
(see `caejax.ops.polyphase`), made from its kernel parameter as

    h = painted * fixed

where `painted` is what the kernel alone draws around an input pixel, and `fixed`
are the taps of a resize or a blur, along both axes. A fixed filter with a zero at
every lattice frequency gives all output phases the same gain, whatever is learnt. So
does a kernel that is projected onto equal gains before it is used.

Two kinds are no such filter, as the weights of their resize depend on what they
resize: see `CONTENT`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from caejax.errors import did_you_mean
from caejax.ops.gains import equal_gains
from caejax.ops.polyphase import interleave, phase_kernel, smooth

STRIDE = 2
RESIZES = ("linear", "cubic")  # methods of `jax.image`
# Resizes whose weights depend on content; see `caejax.models.content`. No kernel says
# what they draw, and they are measured by what they make of codes: `dc_ripple_db` and
# its like. Constants they leave as they are, since their weights sum to one.
CONTENT = ("carafe", "dysample")
REASSEMBLED = 25  # pixels that an output pixel of "carafe" is made of

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
      fixed: one axis of the fixed filter; of a resize of `CONTENT`, of what it is
        where its weights do not depend on content, as they hardly do at the start.
      run: "filter", as one filter; "linear" or "cubic", that resize of
        `jax.image`, then the convolution; "carafe" or "dysample", that resize of
        `CONTENT`, then the convolution; "average" or "blur", the painted filter,
        then the fixed one, where the average repeats the edges above and on the
        left. All others see zeros around them.
      transposed: whether the kernel is that of `nn.ConvTranspose`, not of `nn.Conv`.
      phases: number of phases that lie side by side in the kernel's channels, the
        phase outermost, and are shuffled into place; 1 where none are.
      group: number of consecutive input channels that are added up first.
      variance: factor that makes the variance of scaled initialisers right where
        their fan-in does not count what an output pixel really adds up.
      tied: whether all phases of a shuffle start with the same kernel.
      projected: whether the kernel that is used is not the parameter but what is
        nearest to it among those that give all phases the same gain.
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
    projected: bool = False


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
    "deconv_k4_tied": Kind(
        """As deconv_k4, its kernel projected onto equal phase sums.

        caejax's own control: the condition of Sugawara & Kiya, arXiv 1806.02658, met
        without a blur, by the least change of the kernel (see
        `caejax.ops.gains.equal_gains`). Free of checkerboards for every kernel: the
        four taps of a phase are moved by a quarter of what its sum lacks to the mean
        of the four sums. What this takes from the parameter has no gradient. Computed
        in bfloat16, the kernel is rounded behind the projection, which leaves ripple
        of about -52 dB of random kernels (of nearest_k3's, -57). The projection itself
        adds and scales, once a batch.
        Parameters 16 C F + F; multiplications 16 C F.""",
        kernel_size=4,
        origin=-1,
        transposed=True,
        variance=STRIDE**2,
        projected=True,
    ),
    "shuffle_tied": Kind(
        """As shuffle_k3, its kernel projected onto equal phase sums.

        caejax's own control, as deconv_k4_tied: the nine taps of a phase are moved by
        a ninth of what its sum lacks to the mean of the four sums. Free of
        checkerboards for every kernel, in training too, unlike shuffle_icnr.
        Parameters 36 C F + F; multiplications 36 C F.""",
        kernel_size=3,
        origin=-2,
        phases=STRIDE**2,
        projected=True,
    ),
    "nearest_k5": Kind(
        """Nearest-neighbour resize, then convolution 5 x 5.

        Odena, Dumoulin & Olah, Distill 2016. Free of checkerboards for every
        kernel, as nearest_k3; each phase has the nine weights of a shuffle_k3's.
        Parameters 25 C F + F; multiplications 36 C F.""",
        kernel_size=5,
        origin=-2,
        fixed=BOX,
    ),
    "carafe": Kind(
        """Content-aware reassembly, then convolution 3 x 3.

        Wang et al. (CARAFE), arXiv 1905.02188: a 1 x 1 convolution to C / 4 channels,
        rounded up (64 of 256 in the paper), and one of 3 x 3 to 25 weights for each
        output pixel, softmax over the 25, and their sum over 5 x 5 input pixels, zeros
        around. Each output pixel has weights of its own, so there is no kernel to
        read: measure it, clear of the zeros (`caejax.metrics.borders`). Free of
        checkerboards on constant inputs, as weights that sum to one leave constants
        alone; on others the weights may do anything.
        Parameters 9 C F + F + C C / 4 + C / 4 + 225 C + 100; multiplications 36 C F
        + C C / 4 + 325 C.""",
        kernel_size=3,
        origin=-5,
        fixed=(0.2,) * 10,
        run="carafe",
    ),
    "dysample": Kind(
        """Samples between pixels at learnt offsets, then convolution 3 x 3.

        Liu et al. (DySample), arXiv 2308.15085, style "lp" with static scope: a 1 x 1
        convolution, times 0.25, moves each output pixel's place from where bilinear
        resizing has it; 4 groups of channels move each by itself (2 or 1 where 4 do
        not divide C). There is no kernel to read: measure it. Free of checkerboards
        on constant inputs, as bilinear weights sum to one; on others the places may
        be anywhere.
        Parameters 9 C F + F + 32 C + 32; multiplications 36 C F + 48 C.""",
        kernel_size=3,
        origin=-2,
        fixed=_TRIANGLE,
        run="dysample",
    ),
}

# What other libraries and papers call them.
ELSEWHERE = {
    "transpose": "deconv_k4",
    "transposed": "deconv_k4",
    "deconv": "deconv_k4",
    "deconvolution": "deconv_k4",
    "conv_transpose": "deconv_k4",
    "ConvTranspose": "deconv_k4",
    "subpixel": "shuffle_k3",
    "pixel_shuffle": "shuffle_k3",
    "PixelShuffle": "shuffle_k3",
    "depth_to_space": "shuffle_k3",
    "resize": "nearest_k3",
    "upsample": "nearest_k3",
    "interpolate": "nearest_k3",
}


def find_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
      ValueError: no such kind; names the nearest.
    """
    if name not in UPSAMPLING:
        raise ValueError(
            f"kind is {name!r}{did_you_mean(name, UPSAMPLING, ELSEWHERE)}; "
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


def guide_shapes(kind: Kind, channels: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the kernels that make a resize of `CONTENT` from C channels.

    By the names that the published modules give to these convolutions; none for other
    kinds. Each has a bias, too.
    """
    phases = STRIDE**2
    if kind.run == "carafe":
        few = -(-channels // 4)
        return {
            "channel_compressor": (1, 1, channels, few),
            "content_encoder": (3, 3, few, REASSEMBLED * phases),
        }
    if kind.run == "dysample":
        return {"offset": (1, 1, channels, 2 * offset_groups(channels) * phases)}
    return {}


def offset_groups(channels: int) -> int:
    """Into how many groups "dysample" takes C channels: 4, or as many as divide C."""
    return math.gcd(channels, 4)


def used_kernel(kernel: jax.Array, kind: Kind) -> jax.Array:
    """The kernel that a layer uses: its parameter, or that projected if it is so."""
    if not kind.projected:
        return kernel
    h = equal_gains(painted_filter(kernel, kind), STRIDE)
    return phase_kernel(h, STRIDE) if kind.phases > 1 else jnp.flip(h, (0, 1))


def layer_filter(kernel: jax.Array, kind: Kind) -> jax.Array:
    """A layer's whole filter at the high resolution, for any input channel.

    That of a resize of `CONTENT` is as if its weights did not depend on content.

    Args:
      kernel: float32 kernel parameter, shaped as `kernel_shape` says.
      kind: the layer's kind.

    Returns:
      The filter, (L, L, C, F) float32, C a multiple of `kind.group`: the layer's
      response to one pixel, but for the borders.
    """
    h = smooth(painted_filter(used_kernel(kernel, kind), kind), kind.fixed)
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
    guides = guide_shapes(kind, channels).values()
    weights = math.prod(kernel_shape(kind, channels, features)) + features
    return weights + sum(math.prod(shape) + shape[-1] for shape in guides)


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
    zeros that fill a filter up to whole phases and what a fixed resize, a blur or an
    average does to each channel by itself. A resize of `CONTENT` is counted: the
    convolutions that make its weights, and the products with these.
    """
    length = kind.kernel_size * (STRIDE if kind.phases > 1 else 1)
    if kind.run == "filter":
        length += len(kind.fixed) - 1
    elif kind.run in (*RESIZES, *CONTENT):
        length *= STRIDE
    weighted = {"carafe": REASSEMBLED, "dysample": 4}.get(kind.run, 0)
    guides = sum(map(math.prod, guide_shapes(kind, channels).values()))
    kernels = length**2 * -(-channels // kind.group) * features
    return kernels + guides + STRIDE**2 * weighted * channels
