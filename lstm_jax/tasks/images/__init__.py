"""Images, pixel by pixel or row by row, and films of moving digits."""

from lstm_jax.tasks.images.mnist_digits import Mnist, mnist
from lstm_jax.tasks.images.moving_mnist import MovingDigits, moving_digits

__all__ = ["Mnist", "MovingDigits", "mnist", "moving_digits"]
