"""Package definition."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (HERE / "caejax" / "__init__.py").read_text()
).group(1)

# Every lower bound is tested: see .ci/lowest.
REQUIREMENTS = [
    "absl-py>=2.3.0",
    "array_record>=0.8.1",
    "flax>=0.12.4",
    "importlib_resources>=6.4.0",
    "jax>=0.10.0",
    "jinja2>=3.1.4",
    "matplotlib>=3.10.0",
    "ml_collections>=1.1.0",
    "numpy>=2.1.0",
    "optax>=0.2.6",
    "orbax-checkpoint>=0.11.33",
    "pillow>=11.0.0",
    "pooch>=1.8.2",
    "rich>=13.9.0",
    "scipy>=1.15.0",
    "tensorboardX>=2.6.4",
    "tensorflow-datasets>=4.9.10",
    "tensorstore>=0.1.71",
]

CONFIGS = [str(path.relative_to(HERE)) for path in HERE.glob("configs/**/*.py")]


class BuildWithConfigs(build_py):
    """Puts configs/ into the package that is built, as caejax/configs/."""

    def run(self):
        """Builds the package, then copies the configs unless it stays where it is."""
        super().run()
        if self.editable_mode:
            return
        for name in CONFIGS:
            target = Path(self.build_lib, "caejax", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(HERE / name, target)

    def get_source_files(self):
        """Names what a source distribution needs besides modules: the configs."""
        return [*super().get_source_files(), *CONFIGS]


setup(
    name="caejax",
    version=VERSION,
    description="Denoising autoencoders in JAX, and a measure of their checkerboards",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    author="caejax developers",
    license="Apache-2.0",
    keywords="denoising autoencoder checkerboard artifacts upsampling JAX",
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    # With it, `pip install -e` puts this folder on the path, where a package is found
    # before a mere folder of its name: Python is often started in the folder above.
    package_dir={"": "."},
    packages=find_packages(include=["caejax", "caejax.*"]),
    package_data={
        "caejax": ["py.typed"],
        "caejax.weights": ["*.safetensors"],
        "caejax.measure": ["chance.csv"],
        "caejax.report": ["*.jinja", "page.css", "page.js"],
    },
    cmdclass={"build_py": BuildWithConfigs},
    entry_points={"console_scripts": ["caejax = caejax.__main__:run"]},
    install_requires=REQUIREMENTS,
    extras_require={
        "test": [
            "PyWavelets>=1.8",
            "bm3d>=4.0.3",
            "mypy==2.4.1",
            "onnx>=1.18",
            "onnxruntime>=1.22",
            "playwright>=1.49",
            "pytest>=8.3",
            "pytest-xdist>=3.6",
            "ruff==0.17.6",
            "scikit-image>=0.25.0",
            "setuptools>=70.1",  # which makes wheels by itself
        ],
        # What --references measures besides what needs JAX alone.
        "baselines": ["PyWavelets>=1.8", "bm3d>=4.0", "scikit-image>=0.25.0"],
        # What builds the site in docs/.
        "docs": ["furo>=2024.8.6", "myst-parser>=4.0", "sphinx>=8.1"],
        # What experiments/audit diagnoses; its requirements.txt has the versions.
        "audit": [
            "diffusers>=0.42",
            "einops>=0.8",
            "monai>=1.6",
            "segmentation-models-pytorch>=0.6",
            "timm>=1.0",
            "torch>=2.8",
            "torchvision>=0.23",
            "transformers>=5.24",
        ],
        # What experiments/speed compares with.
        "bench": ["torch>=2.8"],
        # What `caejax export` writes, and `caejax diagnose` reads of other people's.
        "onnx": ["onnx>=1.18", "onnxruntime>=1.22"],
        "torch": ["torch>=2.8"],
        # The executor `ray`.
        "ray": ["ray>=2.50"],
        # Data on object stores; each store has a package besides, s3fs for instance.
        "remote": ["fsspec>=2024.6"],
        # Preparing most data sets needs TensorFlow; reading them never does.
        "tfds": [
            "tensorflow-cpu>=2.20; sys_platform == 'linux'",
            "tensorflow>=2.20; sys_platform != 'linux'",
        ],
    },
)
