"""Reads and writes e-mail, independent of the provider."""
