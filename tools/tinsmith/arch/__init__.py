"""Kernels for special instruction sets: one folder an arch, one subclass of an op a file.

Such a class differs from its op in what the kernel needs: `suits` (its preconditions), parameters packed the way the
kernel reads them, scratch, and how far the output may run into the input. Rules, shapes and reference stay the op's.
A target lists the archs whose kernels it can run, best first.
"""
