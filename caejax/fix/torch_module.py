"""Mends PyTorch modules."""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils import parametrize

from caejax.diagnose import phases
from caejax.diagnose.inspect import drawn
from caejax.diagnose.places import NO_TAPS
from caejax.diagnose.result import THRESHOLD_DB
from caejax.diagnose.torch_module import trace_module
from caejax.errors import CaejaxError
from caejax.fix.mends import find_mends

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def fix_module(
    module: nn.Module, inputs: Sequence[torch.Tensor] | None
) -> tuple[nn.Module, list[str], list[str]]:
    """Mends a copy of a module.

    Args:
      module: the model.
      inputs: what it is called with; None for what its parts say by themselves.

    Returns:
      The copy; what was made of its weights; and what could not be mended.

    Raises:
      CaejaxError: without inputs, parts whose channels become pixels and whose kernels
        only a run shows.
    """
    mended = copy.deepcopy(module, _computed(module))
    about = _write_out(mended)
    if inputs is None:
        return mended, about, list(_by_parts(mended))
    trace = trace_module(mended, inputs)
    mends, left = find_mends(trace, _arrays(inputs), _held, apart=False)
    own = {_memory(x) for x in (*mended.parameters(), *mended.buffers())}
    with torch.no_grad():
        for mend in mends:
            if mend.holds is None or _memory(mend.holds) not in own:
                left.append(
                    f"{mend.name}: its weights are none of the module's, or are "
                    "computed while it runs; it stays as it is"
                )
                continue
            mend.holds.copy_(torch.as_tensor(mend.new))
    left += _still(mended, inputs, left)
    return mended, about, list(dict.fromkeys(left))


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


def _by_parts(module):
    """Mends the layers; sentences about those that cannot be."""
    seen = False
    for name, part in module.named_modules():
        if isinstance(part, nn.PixelShuffle):
            raise CaejaxError(
                f"{name or 'the module'} shuffles channels into pixels, and whose they "
                "are only a run shows; call fix(module, inputs)"
            )
        if isinstance(part, _TRANSPOSED):
            seen = True
            if not _clean(part):
                yield f"{name or 'the module'}: {NO_TAPS}; it stays as it is"
    if not seen:
        raise CaejaxError(
            "the module has no layer of its own that enlarges; call fix(module, "
            "inputs), which sees what it calls by functions"
        )


def _clean(layer):
    """Gives all phases of a layer one gain; whether that is possible."""
    if max(layer.stride) == 1:
        return True
    weight = layer.weight.detach()
    clean = phases.clean_transposed(
        weight.double().cpu().numpy(), layer.stride, layer.dilation
    )
    if clean is not None:
        with torch.no_grad():
            layer.weight.copy_(torch.as_tensor(clean))
    return clean is not None
