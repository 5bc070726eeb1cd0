"""Fuzzers: whatever reads bytes that others wrote is fed with damaged ones. Run the modules that have a command line."""
