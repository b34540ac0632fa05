"""What runs inside of conditions and loops of ONNX files is found, measured, mended."""

import json

import numpy as np
import pytest
from helpers.onnx_files import onnx_file

from caejax.diagnose import __main__ as command
from caejax.diagnose import diagnose
from caejax.fix import fix_file

onnx = pytest.importorskip("onnx")
helper = onnx.helper
FLOAT, WHOLE, TRUTH = 1, 7, 9


def info(name, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, None if kind == FLOAT else [])


def up(source, weight, result):
    return helper.make_node(
        "ConvTranspose", [source, weight], [result], name="up", strides=[2, 2]
    )


def branch(result, weight, **weights):
    """A graph that enlarges x."""
    own = [onnx.numpy_helper.from_array(x, name) for name, x in weights.items()]
    return helper.make_graph([up("x", weight, result)], result, [], [info(result)], own)


def choice(first, second):
    parts = {"then_branch": first, "else_branch": second}
    return ("If", ["c"], ["y"], {"name": "choose", **parts})


MEAN = [
    ("ReduceMean", ["x"], ["mean"], {"keepdims": 0}),
    ("Less", ["mean", "limit"], ["c"], {}),
]


def kernels(normal):
    """One that draws, and one whose phases are alike."""
    return {"w": normal(3, 3, 4, 4), "v": np.tile(normal(3, 3, 1, 1), (1, 1, 2, 2))}


@pytest.mark.parametrize("taken", [True, False])
def test_a_constant_decides_which_branch_there_is(taken, normal, tmp_path):
    path = onnx_file(
        tmp_path / "model.onnx",
        [choice(branch("a", "w"), branch("b", "v"))],
        {**kernels(normal), "c": np.array(taken)},
    )
    found = diagnose(path)
    (place,) = found["places"]
    which = "then_branch" if taken else "else_branch"
    assert place["name"] == f"choose/{which}/up"
    assert place["stride"] == [2, 2]
    assert found.clean != taken
    if taken:
        assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
        assert place["share"] == pytest.approx(1)


@pytest.mark.parametrize("limit", [100, -100])
def test_both_branches_are_probed_where_inputs_decide(limit, normal, tmp_path):
    """Whichever is taken, the one that draws is a fault, and is mended."""
    path = onnx_file(
        tmp_path / "model.onnx",
        [*MEAN, choice(branch("a", "w"), branch("b", "v"))],
        {**kernels(normal), "limit": np.float32(limit)},
    )
    found = diagnose(path)
    rows = {place["name"]: place for place in found["places"]}
    assert set(rows) == {"choose/then_branch/up", "choose/else_branch/up"}
    assert not rows["choose/then_branch/up"]["clean"]
    assert rows["choose/else_branch/up"]["clean"]
    assert command.main([str(path)]) == command.FOUND
    assert any("choose takes its" in x for x in found["about"])
    assert ("other branch" in found["verdict"]) == (limit < 0)
    record = fix_file(path, tmp_path / "mended.onnx")
    assert record["clean"]
    assert record["ripple_after_db"] < -100
    assert diagnose(tmp_path / "mended.onnx").clean


def test_branches_with_weights_of_their_own_are_mended(normal, tmp_path):
    then = branch("a", "k", k=normal(3, 3, 2, 2))
    other = branch("b", "k", k=normal(3, 3, 4, 4))
    path = onnx_file(
        tmp_path / "model.onnx",
        [*MEAN, choice(then, other)],
        {"limit": np.float32(0)},
    )
    record = fix_file(path, tmp_path / "mended.onnx")
    assert len(record["changes"]) == 2
    assert record["ripple_before_db"] > -30
    assert record["ripple_after_db"] < -100
    (node,) = (
        x for x in onnx.load(tmp_path / "mended.onnx").graph.node if x.op_type == "If"
    )
    assert [len(x.g.initializer) for x in node.attribute if x.HasField("g")] == [1, 1]


def loop(rounds, nodes, weights):
    graph = helper.make_graph(
        [*nodes, helper.make_node("Identity", ["on"], ["go"])],
        "body",
        [info("round", WHOLE), info("on", TRUTH), info("s")],
        [info("go", TRUTH), info("t")],
    )
    node = ("Loop", ["rounds", "begin", "x"], ["y"], {"name": "grow", "body": graph})
    return [node], {**weights, "rounds": np.array(rounds), "begin": np.array(True)}


def test_a_loop_is_what_it_does_round_by_round(normal, tmp_path):
    weight = {"w": normal(3, 3, 2, 2)}
    path = onnx_file(tmp_path / "a.onnx", *loop(2, [up("s", "w", "t")], weight))
    chain = [
        ("ConvTranspose", ["x", "w"], ["s"], {"strides": [2, 2]}),
        ("ConvTranspose", ["s", "w"], ["y"], {"strides": [2, 2]}),
    ]
    found = diagnose(path)
    expected = diagnose(onnx_file(tmp_path / "b.onnx", chain, weight))
    assert [x["name"] for x in found["places"]] == ["grow/0/up", "grow/1/up"]
    assert found["period"] == [4, 4]
    assert found["ripple_db"] == pytest.approx(expected["ripple_db"])
    shares = [x["share"] for x in expected["places"]]
    assert [x["share"] for x in found["places"]] == pytest.approx(shares)
    record = fix_file(path, tmp_path / "mended.onnx")
    assert len(record["changes"]) == 1
    assert record["ripple_after_db"] < -100


def test_a_scan_is_what_it_does_round_by_round(normal, tmp_path):
    """Over the images of a batch, from the last to the first and back."""
    nodes = [
        helper.make_node("Unsqueeze", ["one", "zero"], ["image"]),
        up("image", "w", "large"),
        helper.make_node("Squeeze", ["large", "zero"], ["made"]),
    ]
    zero = onnx.numpy_helper.from_array(np.array([0]), "zero")
    body = helper.make_graph(nodes, "body", [info("one")], [info("made")], [zero])
    about = {"num_scan_inputs": 1, "scan_input_directions": [1]}
    about |= {"scan_output_directions": [1], "name": "each", "body": body}
    weight = {"w": normal(3, 3, 3, 3)}
    path = onnx_file(tmp_path / "a.onnx", [("Scan", ["x"], ["y"], about)], weight)
    plain = [("ConvTranspose", ["x", "w"], ["y"], {"strides": [2, 2]})]
    expected = diagnose(onnx_file(tmp_path / "b.onnx", plain, weight))
    x = normal(1, 3, 32, 32)
    assert diagnose(path, x)["places"][0]["name"] == "each/up"
    assert diagnose(path)["ripple_db"] == pytest.approx(expected["ripple_db"])
    assert diagnose(path, np.tile(x, (2, 1, 1, 1)))["ripple_db"] > -60
    assert fix_file(path, tmp_path / "mended.onnx")["ripple_after_db"] < -100


@pytest.mark.parametrize("kind", ["dirty", "clean", "nothing", "biases"])
def test_a_loop_that_is_too_long_is_no_clean_bill(kind, normal, tmp_path, capsys):
    """Of what runs there kernels are read; what can draw by these is no success."""
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    smaller = helper.make_node("MaxPool", ["u"], ["t"], **pool)
    weights = kernels(normal)
    if kind == "biases":
        wide = np.tile(normal(3, 3, 1, 1), (4, 1, 1, 1))
        weights = {"w": wide, "b": normal(12)}
        nodes = [
            helper.make_node("Conv", ["s", "w", "b"], ["k"], name="up"),
            helper.make_node("DepthToSpace", ["k"], ["u"], blocksize=2),
            smaller,
        ]
    elif kind == "nothing":
        nodes = [helper.make_node("Tanh", ["s"], ["t"])]
    else:
        weights["w"] = weights["w" if kind == "dirty" else "v"]
        nodes = [up("s", "w", "u"), smaller]
    path = onnx_file(tmp_path / "model.onnx", *loop(65, nodes, weights))
    record = tmp_path / "found.json"
    code = command.main([str(path), f"--json={record}"])
    told = capsys.readouterr().out
    assert code == (0 if kind in ("clean", "nothing") else command.FOUND)
    assert "inside of Loop grow was not looked into" in told.splitlines()[0]
    found = json.loads(record.read_text())
    if kind == "nothing":
        assert found["places"] == []
        return
    (place,) = found["places"]
    assert (place["name"], place["stride"]) == ("grow/up", [2, 2])
    assert place["clean"] == (kind == "clean")
    if kind != "clean":
        assert "not known to be clean: by its kernel grow/up" in found["verdict"]
        about = fix_file(path, tmp_path / "mended.onnx")["about"]
        assert any("grow/up" in x and "stays as it is" in x for x in about)


def test_functions_of_the_model_itself_are_looked_into(normal, tmp_path):
    path = onnx_file(
        tmp_path / "model.onnx",
        [("Enlarge", ["x", "w"], ["y"], {"domain": "own"})],
        {"w": normal(3, 3, 3, 3)},
    )
    model = onnx.load(path)
    ids = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model.opset_import.append(ids[1])
    made = helper.make_function("own", "Enlarge", ["a", "b"], ["c"],
                                [up("a", "b", "c")], ids[:1])  # fmt: skip
    model.functions.append(made)
    onnx.save(model, path)
    (place,) = diagnose(path)["places"]
    assert place["stride"] == [2, 2]
    assert place["predicted_db"] == pytest.approx(place["ripple_db"], abs=0.1)
