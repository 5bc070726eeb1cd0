"""AVERAGE_POOL_2D for cores with the DSP extension."""

from __future__ import annotations

from ...ops.average_pool_2d import AveragePool2D


class AveragePool2DDsp(AveragePool2D):
    """Adds up four channels at once, two to a word, for as many pixels as 16 bits hold."""

    arch = "dsp"
