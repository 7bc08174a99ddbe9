"""Objectives, optimisers, schedules, checkpoints, [the one training loop](training.md), and what the three pre-training
stages need of it."""
