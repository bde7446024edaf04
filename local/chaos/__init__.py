"""Chaos: real processes under a signed load, while workers and the web server are killed at random.

The simulation tests the code in a simulated world; this tests real processes, connections and signals. At the end the
ledger compares what was sent with what is there, by rules that share no code with the code under test.
"""
