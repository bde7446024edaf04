"""The whole of replies-engine on one machine: a local AWS, the app, its workers, and a way to play with them.

Never shipped to Lambda. Guarantee: no process started here can reach a real account, and none outlives its parent.
"""
