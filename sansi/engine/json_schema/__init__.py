"""JSON schemas as grammars: the texts of the values that fit, spelled as models are trained to write them."""

from sansi.engine.json_schema.alternatives import Unsupported
from sansi.engine.json_schema.writer import Rules, Style, schema_rules

__all__ = ["Rules", "Style", "Unsupported", "schema_rules"]
