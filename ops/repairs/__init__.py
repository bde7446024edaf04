"""What an operator changes: each with a dry run."""
