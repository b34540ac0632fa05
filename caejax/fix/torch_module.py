"""Mends PyTorch modules."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from caejax.diagnose import phases
from caejax.diagnose.inspect import drawn
from caejax.diagnose.places import NO_TAPS
from caejax.diagnose.result import THRESHOLD_DB
from caejax.diagnose.torch_module import trace_module
from caejax.errors import CaejaxError
from caejax.fix.mend import Mend
from caejax.fix.mends import find_mends

_ROUNDING = 1e-6  # of what moves by less nothing is told
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def fix_module(
    module: nn.Module, inputs: Sequence[torch.Tensor] | None
) -> tuple[nn.Module, list[Mend], list[str], list[str]]:
    """Mends a copy of a module.

    Args:
      module: the model.
      inputs: what it is called with; None for what its parts say by themselves.

    Returns:
      The copy; what was changed in it; what was made of its weights before; and what
      could not be mended.

    Raises:
      CaejaxError: without inputs, parts whose channels become pixels and whose kernels
        only a run shows.
    """
    mended = copy.deepcopy(module, _computed(module))
    about = _write_out(mended)
    if inputs is None:
        mends: list[Mend] = []
        return mended, mends, about, list(_by_parts(mended, mends))
    trace = trace_module(mended, inputs)
    found, left = find_mends(trace, _arrays(inputs), _held, apart=False)
    mends = []
    own = {_memory(x) for x in (*mended.parameters(), *mended.buffers())}
    with torch.no_grad():
        for mend in found:
            if mend.holds is None or _memory(mend.holds) not in own:
                left.append(
                    f"{mend.name}: its weights are none of the module's, or are "
                    "computed while it runs; it stays as it is"
                )
                continue
            old = np.array(mend.old)  # which may lie where the new one is written
            mend.holds.copy_(torch.as_tensor(mend.new))
            mends.append(mend._replace(old=old))
    left += _still(mended, inputs, left)
    return mended, mends, about, list(dict.fromkeys(left))


def _arrays(inputs):
    found = [x.detach() for x in inputs]
    found = [x.float() if x.is_floating_point() else x for x in found]
    return [x.cpu().numpy() for x in found]


def _still(module, inputs, left):
    """Sentences about places that draw all the same, and of which none is said."""
    trace = trace_module(module, inputs)
    for name, found in drawn(trace, _arrays(inputs)).values():
        told = any(x.startswith(f"{name}: ") for x in left)
        if found > THRESHOLD_DB and not told:
            yield f"{name}: it still draws {found:.1f} dB"


def _held(tensor):
    """What is the same of two tensors that are one, as a layer used twice has."""
    return tensor.data_ptr(), tuple(tensor.shape)


def _memory(tensor):
    return tensor.untyped_storage().data_ptr()


def _computed(module):
    """Copies, by identity, of tensors that PyTorch does not copy: made of others."""
    kept = (x for part in module.modules() for x in vars(part).values())
    return {
        id(x): x.detach().clone()
        for x in kept
        if isinstance(x, torch.Tensor) and not x.is_leaf
    }


def _write_out(module):
    """Makes weights plain that are computed from others, as by weight normalisation."""
    about = []
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part):
            # PyTorch's own way out would change the class, which the original shares.
            values = {x: getattr(part, x).detach() for x in part.parametrizations}
            part.__class__ = parametrize.type_before_parametrizations(part)
            del part.parametrizations
            for tensor, value in values.items():
                part.register_parameter(tensor, nn.Parameter(value.clone()))
            about.append(f"{name}: its weight is a plain parameter now")
        elif hasattr(part, "weight_g") and hasattr(part, "weight_v"):
            nn.utils.remove_weight_norm(part)
            about.append(f"{name}: its weight is a plain parameter now")
        elif hasattr(part, "weight_orig") and hasattr(part, "weight_u"):
            nn.utils.remove_spectral_norm(part)
            about.append(f"{name}: its weight is a plain parameter now")
    return about


def _by_parts(module, mends):
    """Mends the layers, and notes it; sentences about those that cannot be."""
    seen = False
    for name, part in module.named_modules():
        if isinstance(part, nn.PixelShuffle):
            raise CaejaxError(
                f"{name or 'the module'} shuffles channels into pixels, and whose they "
                "are only a run shows; call fix(module, inputs)"
            )
        if isinstance(part, _TRANSPOSED):
            seen = True
            mend = _clean(part, name or "the module")
            if mend is None:
                yield f"{name or 'the module'}: {NO_TAPS}; it stays as it is"
            elif mend.moved > _ROUNDING:
                mends.append(mend)
    if not seen:
        raise CaejaxError(
            "the module has no layer of its own that enlarges; call fix(module, "
            "inputs), which sees what it calls by functions"
        )


def _clean(layer, name):
    """Gives all phases of a layer one gain; None where that is not possible."""
    old = layer.weight.detach().double().cpu().numpy().copy()
    new = old  # of stride 1 there is one phase
    if max(layer.stride) > 1:
        new = phases.clean_transposed(old, layer.stride, layer.dilation)
    if new is None:
        return None
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(new))
    return Mend(name, (), layer.weight, old, new)
