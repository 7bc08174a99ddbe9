"""Our code that runs inside a sandbox, on the standard library alone: nothing else of Sansi can be seen in there."""
