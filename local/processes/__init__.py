"""Child processes, their ports and environment."""
