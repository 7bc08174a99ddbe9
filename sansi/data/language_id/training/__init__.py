"""How the classifier's model is made: `python -m sansi.data.language_id.training` fetches the packages and trains."""
