"""`make demo`: a scenario, shown and checked."""
