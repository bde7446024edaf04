"""Tenants: their rows, secrets and providers."""
