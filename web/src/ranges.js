// What the server takes for each sampling field, as its schemas say it; a test compares the two.
export const RANGES = {
  "temperature": {"type": "number", "minimum": 0, "maximum": 2},
  "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
  "top_k": {"type": "integer", "minimum": -1, "maximum": 2147483647},
  "min_p": {"type": "number", "minimum": 0, "maximum": 1},
  "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
  "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
  "repetition_penalty": {"type": "number", "minimum": 0.01, "maximum": 10},
  "max_tokens": {"type": "integer", "minimum": 1}
};
