"""Reading and writing checkpoints, one module per format, all from the table of names in `names`."""
