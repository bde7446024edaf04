"""Trials of a deployed stage, from outside: a smoke test of each channel, and a load test."""
