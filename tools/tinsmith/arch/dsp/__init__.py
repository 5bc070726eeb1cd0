"""Kernels for Arm cores with the DSP extension and a floating-point unit: Cortex-M4F, M7, M33.

Two products of 16 bits an instruction (SMLAD), two bytes unpacked at once (SXTB16), a multiply that keeps the high half
and adds (SMMLA), and 32 single-precision registers as a store for weights.
"""
