"""Stage 3: one reply is sent; delivery reports are recorded."""
