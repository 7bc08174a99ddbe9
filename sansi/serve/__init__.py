"""The API and the web chat (`app`; `api`: bodies; `http`: the server), and the terminal chat (`terminal`).

Nothing is imported here: `terminal` must not wait for the web framework, nor `http.launch` for a model.
"""
