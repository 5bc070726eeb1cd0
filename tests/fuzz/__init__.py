"""Fuzzers: whatever reads bytes that others wrote is fed with damaged ones. importer.py has a command line."""
