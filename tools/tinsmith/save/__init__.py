"""Graphs written as model files that other runtimes load."""
