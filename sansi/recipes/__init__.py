"""Recipes: how a model is made, as a TOML file of stages; the runner that makes what is missing; its records."""
