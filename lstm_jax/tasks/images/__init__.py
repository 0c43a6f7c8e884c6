"""Images, pixel by pixel or row by row."""

from lstm_jax.tasks.images.mnist_digits import Mnist, mnist

__all__ = ["Mnist", "mnist"]
