"""What a user waits for: start-up, evaluation and memory of the command line.

    python -m experiments.speed.commands --data=DIR

DIR holds MNIST's four IDX files. Runs configs/mnist_denoise.py: until its first step
without and with compiled programs from the last time, `--mode=show`, and one epoch.
Prints a table and writes commands.json and commands.md.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from caejax.files.atomic import read_rows
from caejax.metrics.evaluator import evaluate
from caejax.metrics.noise import noise_key
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.training.images import load_images
from caejax.training.restore import restore, trained_config
from caejax.training.task import subject_of, task_from_config
from experiments.shared.commands import ROOT, create_parser, environment, module_command
from experiments.shared.machine import in_words, versions

REPEATS = 3
GOALS = {
    "first step, nothing compiled, s": 8,
    "first step, compiled before, s": 5,
    "--mode=show, s": 3,
    "peak memory of an epoch, GB": 2.5,
    "evaluation of 10,000 images, share of an epoch": 0.1,
}


def command(data: Path, *flags: str) -> list[str]:
    """The command line of the run."""
    main = module_command("caejax.main")
    config = ROOT / "configs" / "mnist_denoise.py"
    return [*main, f"--config={config}", f"--config.data.dir={data}", *flags]


def until_first_step(data: Path, cache: Path) -> float:
    """Seconds from the command to its first training step."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with subprocess.Popen(
            command(data, f"--workdir={folder}/run"),
            stdout=subprocess.PIPE,
            text=True,
            env=environment(JAX_COMPILATION_CACHE_DIR=str(cache)),
        ) as process:
            for line in process.stdout:
                if line.startswith("training for"):
                    break
            else:
                raise RuntimeError("the command ended before it trained")
            seconds = time.perf_counter() - began
            process.kill()
    return seconds


def show(data: Path) -> float:
    """Seconds that --mode=show takes."""
    began = time.perf_counter()
    subprocess.run(command(data, "--mode=show"), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def epoch(data: Path, workdir: Path) -> tuple[float, float]:
    """Trains one epoch; returns its seconds and the peak resident memory in GB."""
    flags = f"--workdir={workdir}", "--config.train.epochs=1"
    process = subprocess.Popen(command(data, *flags), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the command ended with {process.returncode}")
    rows = read_rows(workdir / "metrics.jsonl")
    train = next(row for row in rows if row["split"] == "train")
    config = json.loads((workdir / "config.json").read_text())
    images = train["step"] * config["train"]["batch_size"]
    unit = 1 if sys.platform == "darwin" else 1024  # there in bytes, here in KiB
    return images / train["images_per_second"], usage.ru_maxrss * unit / 1e9


def evaluation(workdir: Path) -> float:
    """Seconds for all metrics of the 10,000 test images, once compiled."""
    config = trained_config(workdir)
    start(config.train.batch_size, cache=False)
    subject = subject_of(task_from_config(config, 0))
    params, images = restore(workdir, config).params, load_images(config)["test"]
    key, level = noise_key(config.seed, "test"), config.corruption.level
    seconds = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        evaluate(subject, params, images, key, level, "level")
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def measure(data: Path) -> dict[str, float]:
    """All values, by the names of `GOALS`; medians of three."""
    cold, warm = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(until_first_step(data, Path(cache)))
            warm.append(until_first_step(data, Path(cache)))
    shown = median(show(data) for _ in range(REPEATS))
    with tempfile.TemporaryDirectory() as folder:
        seconds, memory = epoch(data, Path(folder) / "run")
        share = evaluation(Path(folder) / "run") / seconds
    values = median(cold), median(warm), shown, memory, share
    return dict(zip(GOALS, (round(x, 3) for x in values), strict=True))


def main() -> None:
    """Measures and writes."""
    parser = create_parser(__doc__, out=Path(__file__).parent)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    figures = measure(args.data.resolve())
    setting = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "Python": platform.python_version(),
        **versions(("jax", "flax")),
    }
    rows = [[name, f"{x:g}", f"{GOALS[name]:g}"] for name, x in figures.items()]
    table = to_markdown(["", "measured", "at most"], rows)
    text = f"Written by commands.py.\n\n{in_words(setting)}.\n\n{table}"
    print(text)
    (args.out / "commands.md").write_text(text)
    results = {"setting": setting, "figures": figures}
    (args.out / "commands.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
