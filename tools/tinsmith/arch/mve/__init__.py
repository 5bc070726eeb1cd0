"""Kernels for cores with integer vectors of 16 bytes (Armv8.1-M, Helium): Cortex-M55 and Cortex-M85."""
