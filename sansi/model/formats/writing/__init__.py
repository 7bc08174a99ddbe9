"""Writers of model folders in the formats of other programs; `sansi.model.formats.writers` is their entrance."""
