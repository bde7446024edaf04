"""Channels and providers: one folder per provider."""
