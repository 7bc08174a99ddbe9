"""The HTTP server around the API: who may ask, how much at a time, for how long, and what is written down."""
