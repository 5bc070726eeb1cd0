"""The handwritten digits: which are learned from and which are held out.

Source: `sklearn.datasets.load_digits`, 1797 grey 8x8 images, a copy of the test part of the UCI
"Optical Recognition of Handwritten Digits" data set. The split is a rule instead of a shuffle, so it
does not hang on any random generator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

HELD_OUT_EVERY = 4  # digits 0, 4, 8, ... of the data set are never seen in training
WHITE = 16  # the brightest pixel value of the data set


def held_out() -> tuple[Images, Labels]:
    """450 digits that took no part in training: images float32 [n, 8, 8, 1] in 0..1, labels int64 [n] in 0..9."""
    images, labels = _all()
    return images[::HELD_OUT_EVERY], labels[::HELD_OUT_EVERY]


def training() -> tuple[Images, Labels]:
    """The other 1347 digits, in the same form."""
    images, labels = _all()
    learned = np.arange(len(labels)) % HELD_OUT_EVERY != 0
    return images[learned], labels[learned]


def _all() -> tuple[Images, Labels]:
    from sklearn.datasets import load_digits  # heavy, and comes with the data

    digits: Any = load_digits()
    images = (digits.images / WHITE).astype(np.float32)[..., np.newaxis]
    return images, digits.target.astype(np.int64)
