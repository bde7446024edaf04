"""The doctor: what is wrong with a stage, and the command that fixes it."""
