"""Made web pages of many kinds, each with what a reader came for and what only surrounds it."""
