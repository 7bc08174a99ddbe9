"""Objectives, optimisers, schedules, checkpoints, the training loop, and what the pre-training stages need of it."""
