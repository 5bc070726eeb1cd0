"""Kernels for 32-bit cores with a multiplier and nothing more: plain C that packs several values into a word."""
