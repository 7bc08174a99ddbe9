"""Talking to a model in a terminal: a conversation (`sansi chat`), or answers for pipes (`sansi run`)."""
