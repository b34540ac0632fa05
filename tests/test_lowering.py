"""Programs as CUDA and TPUs get them, lowered where there are none.

Shapes are all that goes in; nothing is compiled for a device, and nothing runs. The
functions that make programs are taken without their caches (`__wrapped__`): what is
traced here is not for this machine's own device.
"""

import dataclasses
import re

import jax
import jax.numpy as jnp
import pytest
from helpers.tiny import tiny_config

from caejax.metrics import evaluator, probes
from caejax.metrics.subject import Output
from caejax.metrics.table import METRICS
from caejax.models.encoders import DOWNSAMPLING, ConvEncoder
from caejax.models.kinds import UPSAMPLING, valid_growth
from caejax.models.layers import DTYPES
from caejax.models.upsampling import Upsample
from caejax.ops import paths
from caejax.optimizers import create_optimizer
from caejax.training import group, state, step
from caejax.training.state import create_state
from caejax.training.task import subject_of, task_from_config
from caejax.training.varied import Recipe, read_values, shared

PLATFORMS = ("cuda", "tpu")
RUNS = 3
# So wide that a CPU takes convolutions for some layers, and products for others.
WIDTHS = (20, 20)
# Whole models; layers of all kinds are lowered one by one.
MODELS = (
    ("deconv_k3", "stride_k3", "bfloat16"),
    ("nearest_k3", "max_pool", "float32"),
)
LAYERS = {
    kind + " valid" * valid: Upsample(4, kind, valid=valid)
    for kind in UPSAMPLING
    for valid in (False, True)
    if not valid or valid_growth(UPSAMPLING[kind]) is not None
} | {name: ConvEncoder((4,), 2, downsampling=name) for name in DOWNSAMPLING}
PRODUCTS = (
    "deconv_k3",
    "deconv_k4 valid",
    "deconv_k3_fir",
    "bicubic_k3",
    "shuffle_tied",
    "carafe",
    "dysample",
    "max_pool",
    "stride_k3",
)
SHORT = {"float32": "f32", "bfloat16": "bf16"}
both_types = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def accelerator(monkeypatch):
    """Has everything chosen as on an accelerator, whatever this machine has."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for name in ("_compiled_init", "_compiled_start"):
        monkeypatch.setattr(state, name, getattr(state, name).__wrapped__)


def lower(function, *args):
    """StableHLO of a jitted function for all platforms, from its arguments' shapes."""
    return jax.export.export(function, platforms=PLATFORMS)(*args).mlir_module()


def shape(*sides, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(sides, dtype)


def stacked(tree):
    """The shapes of many runs' trees behind each other."""
    return jax.tree.map(
        lambda x: shape(RUNS, *jnp.shape(x), dtype=jnp.result_type(x)), tree
    )


def make_task(upsampling, downsampling, dtype, path="auto"):
    config = tiny_config()
    config.model.widths = WIDTHS
    config.model.upsampling, config.model.downsampling = upsampling, downsampling
    config.model.dtype, config.model.path = dtype, path
    return task_from_config(config, 0)


def shapes_of(task):
    """Images, state, sums, and the numbers that a step takes."""
    tx = create_optimizer(task.optimizer)
    state = jax.eval_shape(lambda: create_state(task.model, tx, 0, ema=False))
    images = shape(32, *task.model.shape, dtype=jnp.uint8)
    return images, state, jax.eval_shape(step.zero_sums), shape(dtype=jnp.int32)


def lower_epoch(task):
    images, state, sums, number = shapes_of(task)
    run = step.compiled_steps.__wrapped__(task)
    return lower(run, state, sums, images, number, number, shape()), (state, sums)


def lower_group(task):
    images, *trees = shapes_of(task)
    recipe = Recipe(task, 0, 0.5)
    state, sums, stop = map(stacked, trees)
    run = group.compiled_group.__wrapped__(shared(recipe), group.in_turn())
    varied = stacked(read_values(recipe))
    return lower(run, images, state, sums, stop, varied), (state, sums)


def lower_evaluation(task):
    """All programs that measure a model, on a few images.

    Returns:
      What computes outputs, in the model's own type; what probes it, in float32; and
      what does without a model.
    """
    images, state, _, number = shapes_of(task)
    subject, params = subject_of(task), state.params
    key = jax.eval_shape(lambda: jax.random.key(0))
    few = shape(*images.shape)

    def having(*needs):
        return tuple(metric for metric in METRICS.values() if metric.needs in needs)

    model, output = subject.model, Output(subject.model.output_activation)
    exact, told = model.clone(dtype=jnp.float32), model.told(shape())
    index = shape(len(images), dtype=jnp.int32)
    texts = []

    def made_by(maker, given, *args):
        """Lowers the program that a function makes; returns its results' shapes."""
        function = jax.jit(maker.__wrapped__(*given).__wrapped__)
        texts.append(lower(function, *args))
        return jax.eval_shape(function, *args)

    clean, noisy = made_by(
        evaluator._compiled_inputs,
        (subject.corruption, 0),
        (key, shape()),
        index,
        images,
    )
    linear = made_by(evaluator._compiled_model, (model, 0), params, noisy, told)
    metrics = having("output", "input", "residual")
    judged = (metrics, subject.loss, output, 0)
    values = (number, number, clean, noisy, linear)
    made_by(evaluator._compiled_judgement, judged, *values)
    flat = made_by(probes._compiled_responses, (exact,), params, few, shape())
    flat = dataclasses.replace(flat, ramp=flat.flat)
    decoders = having("decoder", "ramps", "image", "shown")
    made_by(probes._compiled_decoder, (decoders, output), flat)
    answers = made_by(
        probes._compiled_restored, (having("model"), exact), params, noisy, told
    )
    made_by(probes._compiled_restorations, (having("model"),), noisy, answers)
    gradient = made_by(
        probes._compiled_gradient, (exact, subject.loss), params, noisy, clean, told
    )
    made_by(probes._compiled_gradients, (having("gradient"),), gradient)
    given, own, judgement, flat, ripple, restored, error, gradient, phases = texts
    return own, (flat, restored, gradient), (given, judgement, ripple, error, phases)


def operations(text, *names):
    """The lines of operations, without what comes behind their types."""
    pattern = rf"\b(?:stablehlo|chlo)\.(?:{'|'.join(names)})\b[^\n]*?(?= loc\(|\n)"
    return re.findall(pattern, text)


def operand_types(line):
    """Element types of what goes in: "... : (tensor<2x3xf32>, ...) -> ..."."""
    *_, types = line.split(" : ")
    return set(re.findall(r"tensor<(?:\d+x)*(\w+)>", types.split("->")[0]))


def check_convolutions(text, dtype):
    """All are of that type, and none is dilated on the left."""
    for line in operations(text, "convolution"):
        assert set(re.findall(r"lhs_dilate = \[(.*?)\]", line)) <= {"1, 1"}, line
        assert operand_types(line) == {SHORT[dtype]}, line


def check_stays_on_device(text):
    """No Python, no host, no kernel that a plugin must bring along."""
    assert not operations(text, "custom_call", "infeed", "outfeed", "send", "recv")


def check_types(text, dtype):
    """bfloat16 where it is asked for: in layers, not in what comes in and goes out."""
    assert operations(text, "convolution")
    check_convolutions(text, dtype)
    if dtype == "float32":
        assert "bf16" not in text
        return
    main = re.search(r"func public @main\((.*?)\) \{\n", text, re.DOTALL)[1]
    assert "f32" in main
    assert "bf16" not in main
    # Whatever has it stands in the model: not noise, loss, optimiser or metrics.
    places = [place for place in places_of(text, "bf16") if place.startswith("jit(")]
    assert places
    assert not [place for place in places if "Autoencoder" not in place]


def places_of(text, word):
    """Where in the program the lines with a word come from, as JAX names it.

    A function that is called in several places knows only its own part of the name.
    """
    names = dict(re.findall(r'^(#loc\d+) = loc\("(.*?)"', text, re.MULTILINE))
    lines = re.findall(rf"^ .*{word}.* loc\((#loc\d+)\)$", text, re.MULTILINE)
    return [names.get(line, "") for line in lines]


def check_donated(text, given):
    """Every array of state and sums is where the program writes its successor."""
    donated = re.findall(r"tf\.aliasing_output|jax\.buffer_donor", text)
    assert len(donated) == len(jax.tree.leaves(given))


@pytest.mark.parametrize("model", MODELS, ids="-".join)
def test_an_epoch_is_one_loop_on_the_device(model):
    *_, dtype = model
    for lowered in (lower_epoch, lower_group):
        text, donated = lowered(make_task(*model))
        assert len(operations(text, "while")) == 1
        check_stays_on_device(text)
        check_donated(text, donated)
        check_types(text, dtype)
        assert not operations(text, "scatter", "select_and_scatter")


@pytest.mark.parametrize("model", MODELS, ids="-".join)
def test_evaluation_is_one_pass_on_the_device(model):
    *_, dtype = model
    outputs, probed, others = lower_evaluation(make_task(*model))
    check_types(outputs, dtype)
    for text in probed:
        check_types(text, "float32")  # too little may be lost for bfloat16
    for text in (outputs, *probed, *others):
        assert not operations(text, "while")
        check_stays_on_device(text)


@both_types
def test_paths_of_a_cpu_go_to_accelerators_too(dtype):
    text, donated = lower_epoch(make_task("deconv_k3", "max_pool", dtype, "matmul"))
    assert len(operations(text, "while")) == 1
    check_stays_on_device(text)
    check_donated(text, donated)
    check_types(text, dtype)


@pytest.mark.parametrize(
    ("layer", "path", "dtype"),
    [(layer, "auto", "bfloat16") for layer in LAYERS.values()]
    # A CPU's own path is no accelerator's choice: a layer of each form is enough.
    + [(LAYERS[name], "matmul", "float32") for name in PRODUCTS],
    ids=[*LAYERS, *(f"{name} as products" for name in PRODUCTS)],
)
def test_no_layer_and_no_gradient_is_dilated(layer, path, dtype):
    text = lower_gradients(layer.clone(dtype=DTYPES[dtype]), path)
    assert operations(text, "convolution", "dot_general")
    check_convolutions(text, dtype)
    # CARAFE's sums, which are products where its gradient is ours, are in float32.
    sums = path == "matmul" and getattr(layer, "kind", None) == "carafe"
    known = [{SHORT[dtype]}, {"f32"}] if sums else [{SHORT[dtype]}]
    for line in operations(text, "dot_general"):
        assert operand_types(line) in known, line
    check_stays_on_device(text)


def lower_gradients(layer, path):
    """A layer's sum, and its gradients with respect to parameters and images."""

    def total(params, x):
        with paths.use(path):
            return layer.apply(params, x).astype(jnp.float32).sum()

    x = shape(2, 5, 5, WIDTHS[0])
    params = jax.eval_shape(layer.init, jax.random.key(0), x)
    return lower(jax.jit(jax.value_and_grad(total, (0, 1))), params, x)


def test_what_is_looked_for_would_be_seen():
    layer = Upsample(4, "deconv_k3")
    with pytest.raises(AssertionError, match="2, 2"):
        check_convolutions(lower_gradients(layer, "stock"), "float32")
    with pytest.raises(AssertionError):
        check_convolutions(lower_gradients(layer, "auto"), "bfloat16")

    @jax.jit
    def called_back(x):
        jax.debug.callback(print, x)
        return jax.lax.fori_loop(0, x, lambda i, y: y + i, 0)

    # JAX lowers callbacks for this machine's own device alone.
    text = called_back.lower(shape(dtype=jnp.int32)).as_text()
    assert len(operations(text, "while")) == 1
    with pytest.raises(AssertionError):
        check_stays_on_device(text)
    with pytest.raises(AssertionError):
        check_donated(text, [shape()])
