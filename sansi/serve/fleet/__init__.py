"""Replicas of a server, each a process of its own, behind one address that sends prompts where their beginning is."""
