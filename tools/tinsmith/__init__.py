"""Tinsmith turns trained models into microcontroller firmware."""

__version__ = "0.1.0"
