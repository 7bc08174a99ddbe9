"""Tools, and the loop that lets a model call them, over any `ChatClient`: an HTTP server or a model in this process."""
