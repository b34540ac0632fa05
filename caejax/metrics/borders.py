"""Decoders whose borders reach further than what is measured keeps clear of them."""

from collections.abc import Sequence

import jax.numpy as jnp

from caejax.metrics.responses import Decode

_FAR = ("carafe",)  # kinds that see more than two pixels of zeros around their input
_MORE = 3  # code pixels


def clear_of_borders(decode: Decode, stages: Sequence[str]) -> Decode:
    """A decoder, such that four code pixels from the border nothing is seen of it.

    The zeros around CARAFE's 5 x 5 windows and the convolutions behind them reach 3
    code pixels far in one stage, 4.5 in three, 5 in any number. Where there is such a
    stage, codes are continued linearly by 3 more pixels, and what these make is cut
    off. Other decoders are returned as they are.

    Args:
      decode: function from codes (B, h, w, K), of more than 3 pixels a side, to images.
      stages: kinds of its upsampling layers.
    """
    if not set(stages) & set(_FAR):
        return decode

    def continued(code):
        around = ((0, 0), (_MORE, _MORE), (_MORE, _MORE), (0, 0))
        code = jnp.pad(code, around, mode="reflect", reflect_type="odd")
        image = decode(code)
        cut = _MORE * round(image.shape[1] / code.shape[1])
        return image[:, cut:-cut, cut:-cut]

    return continued
