"""Training: batches, the schedule of the learning rate, and one loop for every family."""
