"""Package definition."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (HERE / "caejax" / "__init__.py").read_text()
).group(1)

setup(
    name="caejax",
    version=VERSION,
    description="Denoising autoencoders in JAX, and a measure of their checkerboards",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["caejax", "caejax.*"]),
    install_requires=[
        "absl-py>=2.3",
        "array_record>=0.8.1",
        "flax>=0.12",
        "importlib_resources>=6.5",
        "jax>=0.10",
        "matplotlib>=3.10",
        "ml_collections>=1.1",
        "numpy>=2.1",
        "optax>=0.2.6",
        "orbax-checkpoint>=0.11.28",
        "pillow>=11.3",
        "pooch>=1.8.2",
        "rich>=14",
        "tensorboardX>=2.6.4",
        "tensorflow-datasets>=4.9.9",
    ],
    extras_require={
        "test": ["pytest>=8.4", "scikit-image>=0.25", "ruff>=0.12"],
        "tfds": ["tensorflow-cpu>=2.20; sys_platform == 'linux'", "tensorflow>=2.20; sys_platform != 'linux'"],
    },
)
