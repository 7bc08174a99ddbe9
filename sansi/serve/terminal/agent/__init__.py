"""`sansi agent` in the terminal: what is shown of a run, what is asked, and the sessions that are kept."""
