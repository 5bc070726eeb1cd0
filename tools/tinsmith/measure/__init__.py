"""What a built firmware costs: retired instructions, estimated cycles, flash, RAM and stack."""
