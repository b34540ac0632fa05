"""Convolutional denoising autoencoders, and a measure of their checkerboards."""

__version__ = "0.1.0"
