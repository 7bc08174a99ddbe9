"""Post-training: long-CoT cold start, reasoning RL, thinking-mode fusion."""
