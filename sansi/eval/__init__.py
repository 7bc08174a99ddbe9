"""Evaluation: problem sets graded by their own scorers, budget sweeps, mode following."""
