"""The AI worker kit: handles one batch of the AI queue, for any model. `examples/ai_worker/` polls the queue for it."""
