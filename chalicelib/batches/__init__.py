"""Stage 2: staged messages become one batch."""
