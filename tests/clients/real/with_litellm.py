"""litellm by its providers: each of them sends fields of its own."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

litellm.suppress_debug_info = True
V1 = os.environ["URL"] + "/v1"
ASK = [
    {"role": "user", "content": [{"type": "text", "text": "What is 12 + 30?", "cache_control": {"type": "ephemeral"}}]}
]


def said(model: str, base: str = V1, **more: object) -> str:
    answer = litellm.completion(model=model, api_base=base, api_key="none", messages=ASK, max_tokens=4096, **more)
    return answer.choices[0].message.content


tried = {
    "openai": lambda: said("openai/fake"),
    "hosted_vllm": lambda: said("hosted_vllm/fake", reasoning_effort="low"),
    "lm_studio": lambda: said("lm_studio/fake"),
    "dashscope": lambda: said("dashscope/fake"),
    "deepseek": lambda: said("deepseek/fake", reasoning_effort="low"),
    "openrouter": lambda: said("openrouter/fake"),
    "anthropic": lambda: said(
        "anthropic/fake",
        os.environ["URL"],
        thinking={"type": "enabled", "budget_tokens": 1024},
        allowed_openai_params=["thinking"],  # litellm knows by its name that the model thinks, or must be told
    ),
    "ollama_chat": lambda: said("ollama_chat/fake", os.environ["URL"]),
    "responses()": lambda: (
        litellm.responses(model="openai/fake", api_base=V1, api_key="none", input="What is 12 + 30?")
        .output[-1]
        .content[0]
        .text
    ),
}
failed = {}
for name, ask in tried.items():
    try:
        found = ask()
        if found != "It is 42":
            failed[name] = repr(found)[:200]
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"[:300]
assert not failed, failed
print("providers: " + ", ".join(tried))
