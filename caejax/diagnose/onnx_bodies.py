"""ONNX models whose conditions and loops are laid out, as inputs run them.

`If`, `Loop` and `Scan` have graphs of their own inside, which no run of the whole model
shows. So each is replaced by the nodes that it runs: of a condition the branch that is
taken, of a loop its body as often as it goes round.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from caejax.diagnose import onnx_moves

BODIES = ("If", "Loop", "Scan")
_ROUNDS = 64  # of one loop; longer ones stay
_DEPTH = 8  # of bodies in bodies

# Where a graph or a node lies: numbers of nodes and names of the graphs inside of them,
# by turns.
Path = tuple[int | str, ...]
Run = Callable[[onnx.ModelProto, list[str]], Mapping[str, Any]]


class LaidOut(NamedTuple):
    """A model without conditions and loops, but for those that have to stay.

    Attributes:
      model: it.
      nodes: where the original of a node lies, by the name of its first result.
      weights: of weights of bodies the graph in which they lie, and their name there.
      branches: of conditions that depend on inputs the branch taken, by their names.
      stayed: the nodes that have to stay.
    """

    model: onnx.ModelProto
    nodes: Mapping[str, Path]
    weights: Mapping[str, tuple[Path, str]]
    branches: Mapping[str, str]
    stayed: tuple[onnx.NodeProto, ...]


def graphs_in(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """The graphs inside of a node, by the names of their attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g


def nodes_in(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes of a graph, those of graphs inside of it, too."""
    for node in graph.node:
        yield node
        for _, inner in graphs_in(node):
            yield from nodes_in(inner)


def graph_at(model: onnx.ModelProto, path: Path) -> onnx.GraphProto:
    """The graph that lies somewhere in a model."""
    graph = model.graph
    for number, name in zip(path[::2], path[1::2], strict=True):
        graph = dict(graphs_in(graph.node[int(number)]))[str(name)]
    return graph


def lay_out(model: onnx.ModelProto, run: Run, other: Sequence[str] = ()) -> LaidOut:
    """Lays out a model, as inputs run it.

    Args:
      model: it.
      run: gives values by name, of a model that is run with those inputs.
      other: names of conditions of which the branch is taken that these do not take.
    """
    if all(node.op_type not in BODIES for node in model.graph.node):
        nodes = {_first(x): (n,) for n, x in enumerate(model.graph.node)}
        return LaidOut(model, nodes, {}, {}, ())
    work = _Work(model, run, other)
    for _ in range(_DEPTH):
        if not work.go_over():
            break
    stayed = [x for x in work.model.graph.node if x.op_type in BODIES]
    return LaidOut(work.model, work.nodes, work.weights, work.branches, tuple(stayed))


def _first(node):
    return next((x for x in node.output if x), "")


def called(node: onnx.NodeProto) -> str:
    """What a node is called: by its name, or by its first result."""
    return node.name or _first(node)


class _Work:
    def __init__(self, model, run, other):
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.nodes = {_first(x): (n,) for n, x in enumerate(model.graph.node)}
        self.weights: dict[str, tuple[Path, str]] = {}
        self.branches: dict[str, str] = {}
        self._run, self._other = run, set(other)
        self._stay: set[str] = set()

    def go_over(self):
        """Replaces all that there are by now; says whether there may be others."""
        before = list(self.model.graph.node)
        bodies = [x for x in before if x.op_type in BODIES]
        left = [x for x in bodies if _first(x) not in self._stay]
        if not left:
            return False
        known = self._ask(left)
        depending = self._depending()
        laid = []
        for node in before:
            made = None
            if _first(node) in known:
                made = self._replaced(node, known[_first(node)], depending)
                self._stay |= set() if made is not None else {_first(node)}
            laid += [node] if made is None else made
        copies = [onnx.NodeProto.FromString(x.SerializeToString()) for x in laid]
        del self.model.graph.node[:]
        self.model.graph.node.extend(copies)
        return True

    def _ask(self, left):
        """Of each node what decides how it runs: a condition, rounds, or a length."""
        asked = onnx.ModelProto()
        asked.CopyFrom(self.model)
        names = {}
        for node in asked.graph.node:
            if _first(node) not in {_first(x) for x in left}:
                continue
            if node.op_type == "Loop":
                names[_first(node)] = _count_rounds(node)
            elif node.op_type == "If":
                names[_first(node)] = node.input[0]
            else:
                states = (
                    len(node.input) - onnx_moves.attributes(node)["num_scan_inputs"]
                )
                names[_first(node)] = node.input[states]
        values = self._run(asked, list(dict.fromkeys(names.values())))
        return {first: np.asarray(values[name]) for first, name in names.items()}

    def _depending(self):
        """Names of what depends on the model's inputs."""
        graph = self.model.graph
        fixed = {x.name for x in graph.initializer}
        found = {x.name for x in graph.input} - fixed
        for node in graph.node:
            read = {*node.input} | {
                name
                for _, inner in graphs_in(node)
                for one in nodes_in(inner)
                for name in one.input
            }
            found |= {*node.output} if read & found else set()
        return found

    def _replaced(self, node, value, depending):
        """The nodes that run in place of one, or None where it has to stay."""
        if node.op_type == "If":
            return self._branch(node, bool(value.ravel()[0]), depending)
        if node.op_type == "Loop":
            return self._loop(node, len(value))
        return self._scan(node, value)

    def _branch(self, node, taken, depending):
        name = called(node)
        taken ^= name in self._other
        which = "then_branch" if taken else "else_branch"
        if node.input[0] in depending:
            self.branches[name] = which
        graph = dict(graphs_in(node))[which]
        prefix = f"{_first(node)}/{which}"
        made, results = self._copied(node, which, graph, {}, prefix, f"{name}/{which}")
        return made + _handed_on(results, node.output)

    def _loop(self, node, rounds):
        graph = dict(graphs_in(node))["body"]
        count = len(graph.input) - 2
        carried, listed = list(node.input[2:]), []
        if rounds > _ROUNDS or (rounds == 0 and len(node.output) > count):
            return None
        laid = []
        for n in range(rounds):
            prefix = f"{_first(node)}/{n}"
            number = self._constant(f"{prefix}/round", np.array(n))
            on = self._constant(f"{prefix}/on", np.array(True))
            given = [number, on, *carried]
            made, results = self._round(node, graph, given, n, rounds)
            laid += made
            carried = results[1 : 1 + count]
            listed.append(results[1 + count :])
        laid += _handed_on(carried, node.output)
        every = zip(*listed, strict=True)
        for name, parts in zip(node.output[count:], every, strict=False):
            laid += self._stacked(name, list(parts), 0)
        return laid

    def _scan(self, node, value):
        about = onnx_moves.attributes(node)
        count = about["num_scan_inputs"]
        states = len(node.input) - count
        axes = about.get("scan_input_axes", [0] * count)
        turned = about.get("scan_input_directions", [0] * count)
        rounds = value.shape[axes[0]]
        graph = dict(graphs_in(node))["body"]
        if not 0 < rounds <= _ROUNDS or len(graph.input) != len(node.input):
            return None
        carried, listed, laid = list(node.input[:states]), [], []
        for n in range(rounds):
            given = list(carried)
            for name, axis, back in zip(node.input[states:], axes, turned, strict=True):
                at = rounds - 1 - n if back else n
                part = f"{_first(node)}/{n}/{len(given)}"
                number = self._constant(f"{part}/round", np.array(at))
                made = helper.make_node("Gather", [name, number], [part], axis=axis)
                laid.append(made)
                given.append(part)
            made, results = self._round(node, graph, given, n, rounds)
            laid += made
            carried = results[:states]
            listed.append(results[states:])
        laid += _handed_on(carried, node.output)
        outs = len(graph.output) - states
        axes = about.get("scan_output_axes", [0] * outs)
        turned = about.get("scan_output_directions", [0] * outs)
        every = zip(*listed, strict=True)
        for name, parts, axis, back in zip(
            node.output[states:], every, axes, turned, strict=False
        ):
            laid += self._stacked(name, list(parts)[:: -1 if back else 1], axis)
        return laid

    def _round(self, node, graph, given, n, rounds):
        inner = dict(zip((x.name for x in graph.input), given, strict=True))
        label = f"{called(node)}/{n}" if rounds > 1 else called(node)
        return self._copied(node, "body", graph, inner, f"{_first(node)}/{n}", label)

    def _copied(self, node, which, graph, given, prefix, label):
        """The nodes of a body under names of their own, and its results' names."""
        path, names = (*self.nodes[_first(node)], which), dict(given)
        for weights in graph.initializer:
            own = f"{_first(node)}/{which}/{weights.name}"
            names[weights.name] = own
            if own not in self.weights:
                self.weights[own] = (path, weights.name)
                self.model.graph.initializer.append(weights)
                self.model.graph.initializer[-1].name = own
        made = []
        for n, one in enumerate(graph.node):
            copy = onnx.NodeProto()
            copy.CopyFrom(one)
            copy.name = f"{label}/{called(one)}"
            names |= {x: f"{prefix}/{x}" for x in one.output if x}
            copy.output[:] = [names.get(x, x) for x in one.output]
            _rename(copy, names)
            self.nodes[_first(copy)] = (*path, n)
            made.append(copy)
        return made, [names.get(x.name, x.name) for x in graph.output]

    def _constant(self, name, value):
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _stacked(self, name, parts, axis):
        """Results of all rounds, one after the other."""
        if not name:
            return []
        raised = [f"{x}/raised" for x in parts]
        made = []
        for part, one in zip(parts, raised, strict=True):
            if _version(self.model) < 13:
                made.append(helper.make_node("Unsqueeze", [part], [one], axes=[axis]))
            else:
                at = self._constant(f"{one}/axis", np.array([axis]))
                made.append(helper.make_node("Unsqueeze", [part, at], [one]))
        return [*made, helper.make_node("Concat", raised, [name], axis=axis)]


def _version(model):
    return max(x.version for x in model.opset_import if x.domain in ("", "ai.onnx"))


def _handed_on(results, names):
    """Results of bodies under the names of the nodes that had them."""
    pairs = zip(results, names, strict=False)
    return [helper.make_node("Identity", [x], [name]) for x, name in pairs if name]


def _rename(node, names):
    """What a node reads, and what graphs inside of it read of what lies outside."""
    node.input[:] = [names.get(x, x) for x in node.input]
    for _, graph in graphs_in(node):
        own = {x.name for x in (*graph.input, *graph.initializer)}
        own |= {x for one in graph.node for x in one.output}
        outside = {x: new for x, new in names.items() if x not in own}
        for one in graph.node:
            _rename(one, outside)


def _count_rounds(node):
    """Has a loop count its rounds; the name of what lists them."""
    graph = dict(graphs_in(node))["body"]
    name = f"{_first(node)}.rounds"
    inside = f"{name}.each"
    graph.node.append(helper.make_node("Identity", [graph.input[0].name], [inside]))
    graph.output.append(
        helper.make_tensor_value_info(inside, onnx.TensorProto.INT64, [])
    )
    unnamed = len(graph.output) - 2 - len(node.output)
    node.output.extend(f"{name}.{n}" for n in range(unnamed))
    node.output.append(name)
    return name
