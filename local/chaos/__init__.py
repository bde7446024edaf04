"""Chaos: the whole of it as real processes, under a signed load, while workers and the web server are killed at random.

What the simulation shows of the code in a made-up world, this shows of real processes, connections and signals. At the
end the ledger of what was sent is held against what is there, by rules that the code under test has no part in.
"""
