"""Channels that become the pixels of one block are made alike, by the least change."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from caejax.diagnose.makers import Origin, each_of, effective
from caejax.diagnose.places import Place
from caejax.diagnose.trace import Parameter, Step
from caejax.fix.mend import Mend
from caejax.ops.equal import equal_moves

_SMALL = 1e-4  # scales below this, against the largest, are not divided by
_ROUNDING = 1e-6  # what moves by less, against what is there, stays

Key = Callable[[Any], Hashable]


class _Use(NamedTuple):
    """A layer that makes some of the phases of a place.

    Attributes:
      origin: the layer, and what lies behind it.
      blocks: (n,), to which channel of the image, and so to which set of phases, each
        of its items belongs; -1 of what is cropped away.
    """

    origin: Origin
    blocks: np.ndarray


class Alike:
    """Which channels of which layers are to be alike, and what makes them so.

    Layers that share weights are one, and so are their channels, in all places.
    """

    def __init__(self, steps: Mapping[int, Step], channel: int, key: Key):
        """Args: all steps by index; the axis of channels; see `mends.find_mends`."""
        self._steps, self._channel, self._key = steps, channel, key
        self._sets = _Sets()
        self._uses: dict[Hashable, list[_Use]] = defaultdict(list)
        self._where: dict[tuple[Hashable, int], tuple[_Use, int]] = {}
        self._holding: dict[Hashable, list[int]] = defaultdict(list)
        self._written: dict[Hashable, Mend] = {}
        self.left: list[str] = []

    def add(self, place: Place) -> None:
        """Wants the phases of a place alike; if they cannot be, `left` says why."""
        order = place.order.reshape(-1, place.order.shape[-1])
        blocks = np.full(order.max() + 1, -1)
        blocks[order] = np.arange(order.shape[1])
        paths = defaultdict(list)
        for origin in place.makers.origins:
            paths[origin.path].append(_Use(origin, blocks[origin.items]))
        why = place.makers.why or [
            x for y in paths.values() for x in self._why(y, order)
        ]
        if why:
            told = dict.fromkeys(why)
            self.left += [f"{place.name}: {x}; it stays as it is" for x in told]
            return
        for uses in paths.values():
            nodes = defaultdict(list)
            for use in uses:
                kernel = self._kernel(use.origin)
                self._uses[kernel].append(use)
                self._note(use.origin)
                pairs = zip(use.blocks, use.origin.channels.tolist(), strict=True)
                for n, (block, channel) in enumerate(pairs):
                    self._where.setdefault((kernel, channel), (use, n))
                    nodes[block].append((kernel, channel))
            for block, members in nodes.items():
                if block >= 0:
                    self._sets.join(members)

    def _note(self, origin):
        """Which steps have the weights that may be changed."""
        holds = [(origin.layer, x) for x in self._steps[origin.layer].holds]
        for one in filter(None, origin.behind):
            each = each_of(self._steps[one.step], self._channel)
            holds += [(one.step, x.holds) for x in each.parameters]
        for step, own in holds:
            known = self._holding[self._key(own)] if own is not None else [step]
            known += [] if step in known else [step]

    def mends(self) -> list[Mend]:
        """The changes."""
        kept = self._averaged()
        for step in sorted(kept):
            self._average(step)
        for members in self._sets.found(lambda node: len(node) == 2):
            self._equalise(members, kept)
        self.left = list(dict.fromkeys(self.left))
        return [x for x in self._written.values() if x.moved > _ROUNDING]

    def _kernel(self, origin):
        return self._key(self._steps[origin.layer].holds[0])

    def _why(self, uses, order):
        """Why the phases that one path leads to cannot be made alike."""
        layers = [self._steps[x.origin.layer] for x in uses]
        items = np.concatenate([x.origin.items for x in uses])
        if any(map(is_computed, layers)):
            yield COMPUTED
        elif not np.isin(order, items).all():
            yield "its phases are made in different ways"
        elif any(not _within_groups(x, y) for x, y in zip(uses, layers, strict=True)):
            yield "its phases are of several groups of a convolution's channels"
        elif any(not self._is_normalised_alike(x) for x in uses):
            yield "its phases are normalised, each by what it is over space"
        elif len(uses) > 1 and _are_shared(uses) and not self._read_the_same(layers):
            yield "its phases are made by layers that read different features"

    def _is_normalised_alike(self, use):
        """Whether what normalises over space takes the phases of a block together."""
        for one in filter(None, use.origin.behind):
            step = self._steps[one.step]
            each = each_of(step, self._channel)
            if each.axis >= 0:
                group = one.channels * each.groups // step.shape[each.axis]
                if not _are_one(use.blocks, group):
                    return False
        return True

    def _read_the_same(self, layers):
        first = layers[0]
        alike = (
            x.groups == 1
            and x.kind == first.kind
            and x.weight.shape[1] == first.weight.shape[1]
            and self._read(x) == self._read(first)
            for x in layers
        )
        return all(alike)

    def _read(self, layer):
        """The step whose features it reads, before those are padded."""
        source = layer.sources[0]
        while (step := self._steps.get(source)) and "pad" in step.label.lower():
            source = step.sources[0]
        return source

    def _averaged(self):
        """The steps whose numbers all phases get the means of.

        Those are the ones behind a nonlinearity, and where what is to be divided by is
        next to nothing, or not the same for all that share a kernel.
        """
        kept, every = set(), [x for uses in self._uses.values() for x in uses]
        for use in every:
            behind = use.origin.behind
            last = max((n for n, x in enumerate(behind) if x is None), default=-1)
            kept |= {x.step for x in behind[: last + 1] if x is not None}
        for uses in self._uses.values():
            known = [effective(x.origin, self._steps, kept) for x in uses]
            small = any(_is_small(scale) for scale, _ in known)
            if small or (len(uses) > 1 and any((a != 1).any() for a, _ in known)):
                passed = [y for x in uses for y in x.origin.behind if y is not None]
                kept |= {y.step for y in passed}
        for use in every:
            for one in use.origin.behind:
                if one is not None and one.step in kept:
                    self._join_numbers(one, use.blocks)
        return kept

    def _join_numbers(self, passed, blocks):
        each = each_of(self._steps[passed.step], self._channel)
        if each.axis < 0:
            return
        for block in set(blocks[blocks >= 0].tolist()):
            own = passed.channels[blocks == block]
            self._sets.join([(passed.step, int(c), "numbers") for c in own])

    def _average(self, step):
        """All numbers of a step, within the sets of its channels."""
        sets = self._sets.found(lambda node: len(node) == 3 and node[0] == step)
        for parameter in each_of(self._steps[step], self._channel).parameters:
            for members in sets:
                at = [channel for _, channel, _ in members]
                moved = self._mend(step, parameter)
                moved[at] = moved[at].mean(0)

    def _equalise(self, members, kept):
        """One gain and one bias for channels that are to be alike."""
        gains, counts, biases, scales = [], [], [], []
        for kernel, channel in members:
            use, n = self._where[kernel, channel]
            layer = self._steps[use.origin.layer]
            scale, shift = (x[n] for x in effective(use.origin, self._steps, kept))
            taps = layer.weight[channel].astype(np.float64)
            taps = taps.reshape(len(taps), -1)
            own = 0.0 if layer.bias is None else float(layer.bias[channel])
            gains.append(scale * taps.sum(1))
            counts.append(taps.shape[1])
            biases.append(scale * own + shift)
            scales.append(scale)
        moves = equal_moves(np.array(gains), np.array(counts)[:, None], (0,))
        common = np.mean(biases)
        rows = zip(members, moves, biases, scales, strict=True)
        for (kernel, channel), move, bias, scale in rows:
            use, n = self._where[kernel, channel]
            layer = self._steps[use.origin.layer]
            moved = self._mend(
                use.origin.layer, Parameter(layer.weight, layer.holds[0])
            )
            each_tap = (..., *(None,) * (layer.weight.ndim - 2))
            moved[channel] += (move / scale)[each_tap]
            if bias != common:
                self._add(use.origin, n, common - bias, kept)

    def _add(self, origin, item, more, kept):
        """Adds to one channel by the last that adds to it, or by the layer's biases."""
        layer = self._steps[origin.layer]
        first = origin.behind[::-1]
        direct = first[: first.index(None)] if None in first else first
        passed = [x for x in direct if x.step not in kept]
        scale = 1.0
        for one in reversed(passed):
            each = self._steps[one.step].each
            own = (x for x in each.parameters if x.holds is not None)
            adding = next((x for x in own if x.adds), None)
            if one.adds and adding is not None:
                moved = self._mend(one.step, adding)
                moved[one.channels[item]] += adding.adds * more / scale
                return
            scale *= each.scale[one.channels[item]] if each.axis >= 0 else each.scale
        if layer.bias is not None and layer.holds[1] is not None:
            own = Parameter(layer.bias, layer.holds[1], adds=1)
            moved = self._mend(origin.layer, own)
            moved[origin.channels[item]] += more / scale
            return
        self.left.append(
            f"{layer.name}: what is added behind it differs by phase, and is no bias "
            "of the model; it stays as it is"
        )

    def _mend(self, step, parameter):
        """The new values of what is kept somewhere, to be changed in place."""
        own = self._steps[step]
        known = parameter.holds is not None
        key = self._key(parameter.holds) if known else (step, parameter.adds)
        found = self._written.get(key)
        if found is None:
            old = np.asarray(parameter.values)
            new = old.astype(np.float64)
            what = "bias" if parameter.adds else "scale" if old.ndim == 1 else "kernel"
            shape = parameter.shape
            at = tuple(self._holding[key]) if known else (step,)
            found = Mend(own.name, at, parameter.holds, old, new, shape, what)
            self._written[key] = found
        return found.new


COMPUTED = "its weights are computed while the model runs"


def is_computed(layer: Step) -> bool:
    """Whether a layer's kernel depends on the model's inputs, as its features do."""
    return len(layer.sources) > 1


def _within_groups(use, layer):
    """Whether the phases of each block are of one group of a layer's channels."""
    group = use.origin.channels // (len(layer.weight) // layer.groups)
    return _are_one(use.blocks, group)


def _are_one(blocks, group):
    """Whether all that is of one block is of one group."""
    known: dict[int, int] = {}
    pairs = zip(blocks.tolist(), group.tolist(), strict=True)
    return all(block < 0 or known.setdefault(block, g) == g for block, g in pairs)


def _are_shared(uses):
    """Whether phases of one block are made by several layers."""
    blocks = [set(x.blocks[x.blocks >= 0].tolist()) for x in uses]
    return sum(map(len, blocks)) > len(set().union(*blocks))


def _is_small(scale):
    size = np.abs(scale)
    return bool((size <= _SMALL * size.max(initial=0)).any())


class _Sets:
    """What is to be alike, directly or by others."""

    def __init__(self):
        self._of: dict[Hashable, list[Hashable]] = {}

    def join(self, members: Sequence[Hashable]) -> None:
        """Makes one set of those in which these are."""
        whole: dict[Hashable, None] = {}
        for one in members:
            whole |= dict.fromkeys(self._of.get(one, [one]))
        joined = list(whole)
        for one in joined:
            self._of[one] = joined

    def found(self, wanted: Callable[[Any], bool]) -> Iterable[list[Any]]:
        """The sets of more than one member, of what is wanted."""
        seen = {id(x): x for x in self._of.values()}
        return [x for x in seen.values() if len(x) > 1 and wanted(x[0])]
