"""Optimisers, schedules, the training loop and the three pre-training stages."""
