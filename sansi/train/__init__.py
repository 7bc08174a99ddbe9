"""Optimisers, schedules, checkpoints, the training loop, and what the three pre-training stages need of it."""
