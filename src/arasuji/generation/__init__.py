"""Writing: pure functions on scores, and one loop for every model."""
