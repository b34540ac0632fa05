"""What mends a place whose kernel draws, by what its model is written in, in words."""

from caejax.diagnose.places import Place

_COST = (
    "gives all phases of a layer one gain by the least change, which can cost a "
    "trained model several dB of PSNR"
)
_NEW = "a nearest or bilinear resize and a convolution"
_IN_NEW = f"in a new model take {_NEW}"
_CURES = {
    "onnx": f"caejax fix MODEL --out=FILE {_COST} (--images and --targets measure "
    f"that); {_IN_NEW}",
    "run": f"caejax fix RUN --out=DIR {_COST} (--finetune=2 trains it further, where "
    "its kind has a tied form: caejax fix --help lists them, and what to train for "
    f"others); {_IN_NEW}",
    "torch": f"caejax.fix(model, inputs) {_COST} (train it further); {_IN_NEW}",
}


def cure(place: Place, form: str) -> str:
    """What mends a place.

    Args:
      place: one whose kernel is known, and can be mended.
      form: of its model; see `Trace`.
    """
    if form in _CURES:
        return _CURES[form]
    stride, kernel = {*place.stride}, {*place.kernel}
    square = len(place.stride) == 2 and len(stride) == len(kernel) == 1
    if place.layer is not None and square:
        return (
            f"caejax.ops.gains.equal_gains(kernel, {stride.pop():g}) {_COST} (train it "
            f"further); {_IN_NEW}"
        )
    return f"make the weights of each phase add up to the same, or take {_NEW}"
