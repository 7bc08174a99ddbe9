"""An answer that fits a schema, after a free thought: python examples/structured.py [MODEL FOLDER]"""

import json
import sys

from sansi.base.bundled import bundled_models
from sansi.chat import ChatModel, ChatOptions

folder = sys.argv[1] if len(sys.argv) > 1 else bundled_models()["nano"]
schema = {
    "type": "object",
    "properties": {
        "operation": {"enum": ["sum", "difference"]},
        "operands": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": 99},
            "minItems": 2,
            "maxItems": 2,
        },
    },
    "required": ["operation", "operands"],
    "additionalProperties": False,
}
form = {"type": "json_schema", "json_schema": {"name": "task", "schema": schema, "strict": True}}

with ChatModel.from_pretrained(folder) as chat:
    result = chat.complete([{"role": "user", "content": "What is 12 + 7?"}], ChatOptions(response_format=form, seed=1))
# The form is certain. What fills it is the model's own; the bundled one has never seen JSON.
print(json.dumps(json.loads(result.message.content)))
