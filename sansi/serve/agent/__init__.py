"""Runs of agents on the server, with the tools that its operator turned on."""
