"""What usually draws a pattern of a period."""

from caejax.measure.search import Pattern

_LAYERS = (2, 3, 5)  # strides that layers have, and their products
_STRONG = 8.0  # grey levels: screens of print are this strong, layers hardly ever
# Grey levels that JPEG's rounding brings to clean photographs, at any quality.
_FAINT_BLOCKS, _FAINT_MULTIPLES = 0.6, 0.12
_KNOWN = {
    7: "patches of 7 or 14 pixels",
    14: "patches of 14 pixels (vision transformers)",
    16: "patches of 16 pixels (vision transformers), a latent model's factor 16, or "
    "JPEG with colours at half the resolution",
    28: "patches of 14 pixels, merged in pairs",
    32: "patches of 32 pixels",
    56: "windows of 7 or 8 patches",
}
_DETAIL = "seams of tiles, blocks or patches: the image changes abruptly there"


def origin(pattern: Pattern, jpeg: bool) -> str:
    """What usually has this period, the likeliest first, in words.

    Args:
      pattern: What was found.
      jpeg: Whether the images are JPEG files.
    """
    period = pattern.period
    said = []
    if own_blocks(pattern, jpeg):
        said.append("the blocks of 8 pixels of the JPEG files themselves")
    elif 8 % period == 0 and pattern.detail:
        said.append("JPEG's blocks of 8 pixels, of these images or earlier")
    if pattern.axes == "xy" and pattern.grey > _STRONG:
        said.append("a printer's halftone or an ordered dither")
    if pattern.axes == "y" and period == 2:
        said.append("interlaced video")
    if strides := _strides(period):
        said.append(strides)
    if period in _KNOWN:
        said.append(_KNOWN[period])
    if pattern.detail or (period >= 24 and pattern.axes != "xy"):
        said.append(_DETAIL)
    if not said:
        said.append(
            "tiles of this size, a resize by a factor that is no whole number, or what "
            "is in the picture"
        )
    return "; or ".join(said)


def own_blocks(pattern: Pattern, jpeg: bool) -> bool:
    """Whether the files' own format explains a pattern."""
    if not jpeg:
        return False
    if pattern.detail:
        return 16 % pattern.period == 0
    faint = _FAINT_BLOCKS if pattern.period == 8 else _FAINT_MULTIPLES
    return pattern.period % 8 == 0 and pattern.grey < faint


def _strides(period):
    rest, factors = period, []
    for stride in _LAYERS:
        while rest % stride == 0:
            rest //= stride
            factors.append(stride)
    if rest > 1:
        return ""
    if len(factors) == 1:
        return f"the last layer, of stride {period}"
    product = " x ".join(map(str, factors))
    return f"layers whose strides have the product {period}, as {product}"
