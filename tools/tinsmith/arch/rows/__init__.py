"""Kernels that consume their input row by row and never see it as a whole, in portable C for every core.

Ops that make one small output of a whole image (global pooling, means, fully connected layers) keep sums as large as
that output instead of the image. A planner that streams the image asks for these kernels; no target lists them.
"""
