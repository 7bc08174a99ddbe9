"""OpenAI-compatible API and web chat (`app`, `launch`), and the chat in a terminal (`terminal`).

Nothing is imported here: `terminal` must not wait for the web framework, nor `launch` for a model.
"""
