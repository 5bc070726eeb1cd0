"""Kernels for ARMv6-M (Cortex-M0, M0+): assembly for a core that multiplies 32 by 32 bits into 32, and little else."""
