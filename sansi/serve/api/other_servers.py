"""Fields that other servers' clients send: other names of what there is, and what changes nothing or is refused."""

from __future__ import annotations

from sansi.chat.presets import EFFORTS
from sansi.serve.api.fields import Field, Kind, by_type, choice, integer, only, record
from sansi.serve.api.openai_fields import BOOLEAN, BUDGET, EFFORT, MAX_TOKENS, SAMPLING, STRING, hint, refused

LATEST = ":latest"  # what Ollama's clients add to a model's name without a tag

# --- other names -----------------------------------------------------------------------------------------------------


def _switch() -> Kind:
    """Whether to think: true, false, or how hard."""
    return by_type(f"true, false or an effort ({', '.join(EFFORTS)})", {bool: BOOLEAN, str: EFFORT})


def _thinking_type() -> Kind:
    """A word for the switch; None where it leaves the choice to the model, as silence does."""
    words = {"enabled": True, "disabled": False, "adaptive": None, "auto": None}
    kind = choice(*words)
    return Kind(lambda value, name, reading: words[kind.check(value, name, reading)], kind.schema)


def _switch_or(whole: Kind) -> Kind:
    """The same, or an object that says it."""
    what = f"true, false, an effort ({', '.join(EFFORTS)}) or an object"
    return by_type(what, {bool: BOOLEAN, str: EFFORT, dict: whole})


REASONING = record(open_=True, effort=EFFORT, max_tokens=BUDGET, enabled=BOOLEAN)
THINKING_OBJECT = record(open_=True, type=_thinking_type(), budget_tokens=BUDGET)
TEMPLATE = record(open_=True, enable_thinking=BOOLEAN, thinking_budget=BUDGET)
_BUDGET = Field(BUDGET, "Another name of thinking_budget.")
THINKING_NAMES: dict[str, Field] = {
    "chat_template_kwargs": Field(TEMPLATE, "enable_thinking and thinking_budget in vLLM's and SGLang's place."),
    "reasoning": Field(_switch_or(REASONING), "effort, max_tokens and enabled, as OpenRouter has them."),
    "thinking": Field(_switch_or(THINKING_OBJECT), "type and budget_tokens, as Anthropic and DeepSeek do."),
    "think": Field(_switch(), "Another name of enable_thinking, or of reasoning_effort."),
}
BUDGET_NAMES: dict[str, Field] = dict.fromkeys(
    (
        "thinking_token_budget",
        "thinking_budget_tokens",
        "reasoning_budget_tokens",
        "reasoning_budget",
        "max_thinking_tokens",
        "max_reasoning_tokens",
    ),
    _BUDGET,
)
OTHER_NAMES: dict[str, Field] = {
    "max_new_tokens": Field(MAX_TOKENS, "Another name of max_tokens."),
    "n_predict": Field(MAX_TOKENS, "Another name of max_tokens."),
    "min_new_tokens": Field(integer(0), "Another name of min_tokens."),
    "ban_eos_token": Field(BOOLEAN, "Another name of ignore_eos."),
    "random_seed": Field(SAMPLING["seed"].kind, "Another name of seed."),
    "repeat_penalty": Field(SAMPLING["repetition_penalty"].kind, "Another name of repetition_penalty."),
}
SPELLINGS: dict[str, str] = {
    **{name: name for name in SAMPLING},
    **{name: name for name in ("thinking_budget", "max_tokens", "enable_thinking", "reasoning_effort")},
    **{name: name for name in ("min_tokens", "ignore_eos")},
    **dict.fromkeys(BUDGET_NAMES, "thinking_budget"),
    "max_completion_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "n_predict": "max_tokens",
    "min_new_tokens": "min_tokens",
    "ban_eos_token": "ignore_eos",
    "random_seed": "seed",
    "repeat_penalty": "repetition_penalty",
    "chat_template_kwargs.enable_thinking": "enable_thinking",
    "chat_template_kwargs.thinking_budget": "thinking_budget",
    "reasoning": "enable_thinking",
    "reasoning.effort": "reasoning_effort",
    "reasoning.max_tokens": "thinking_budget",
    "reasoning.enabled": "enable_thinking",
    "thinking": "enable_thinking",
    "thinking.type": "enable_thinking",
    "thinking.budget_tokens": "thinking_budget",
    "think": "enable_thinking",
}

# --- what changes nothing --------------------------------------------------------------------------------------------

_HERE = "it is for a service with several providers or plans"
_MACHINE = "it is for another server's scheduler or cache"
_PROGRAM = "it is for the program that sends the request"
_BEAMS = "there is no beam search"
_UNUSED = "it means something only with a sampler that is not here"
HINTS: dict[str, Field] = {
    "store": hint("nothing is stored", False),
    "service_tier": hint("there is one tier", "auto", "default"),
    "verbosity": hint("ask for it in a message", "medium"),
    "prompt_cache_retention": hint("the cache keeps what fits", "in_memory", "in-memory"),
    "prompt_cache_options": hint("prompts that begin alike are always read once"),
    "cache_prompt": hint("prompts that begin alike are always read once", True),
    "stream_reasoning": hint("a stream holds the thought as it comes", True),
    "spaces_between_special_tokens": hint("special tokens are part of no text"),
    "add_special_tokens": hint("the prompt has the tokens of its template", False),
    "length_penalty": hint(_BEAMS, 1, 1.0),
    "early_stopping": hint(_BEAMS, False),
    **{
        name: hint(_HERE)
        for name in ("provider", "route", "models", "transforms", "session_id", "trace", "safety_model", "ttl", "debug")
    },
    **{
        name: hint(_MACHINE)
        for name in (
            *("priority", "request_id", "rid", "cache_salt", "keep_alive", "num_ctx", "id_slot", "slot_id", "n_keep"),
            *("kv_transfer_params", "bootstrap_host", "bootstrap_port", "bootstrap_room", "data_parallel_rank"),
            *("guided_decoding_backend", "num_keep", "num_batch", "num_thread", "num_gpu", "perf_metrics_in_response"),
            *(
                "mm_processor_kwargs",
                "media_io_kwargs",
                "truncation_side",
                "draft_model",
                "extra_key",
                "session_params",
            ),
            *("response_fields", "return_tokens", "verbose", "tags", "litellm_session_id", "litellm_trace_id"),
            *("timings_per_token", "return_progress", "return_perf_metrics", "t_max_predict_ms", "n_indent"),
        )
    },
    **{
        name: hint(_PROGRAM)
        for name in ("extra_headers", "extra_query", "timeout", "custom_llm_provider", "drop_params", "api_version")
    },
    **{
        name: hint(_UNUSED)
        for name in (
            *("mirostat_tau", "mirostat_eta", "dynatemp_exponent", "xtc_threshold", "min_keep", "penalize_nl"),
            *("dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers", "smoothing_curve"),
        )
    },
}
CHAT_HINTS: dict[str, Field] = {
    "result_format": hint("answers have the shape of this API", "message"),
    "parse_tool_calls": hint("calls are read where tools are offered", True),
}
TEXT_HINTS: dict[str, Field] = {
    "chat_template_kwargs": hint("a text has no template"),
    "add_generation_prompt": hint("a text has no template"),
}
_CACHE = "prompts that begin alike are always read once"
SILENT: dict[str, Field] = {
    "prompt_cache_key": Field(STRING, f"Changes nothing: {_CACHE}.", "silent"),
    "cache_control": Field(only(instead=_CACHE), f"Changes nothing: {_CACHE}.", "silent"),
    "usage": Field(only(instead="use stream_options"), "Changes nothing: the usage is told anyway.", "silent"),
}

# --- what is refused -------------------------------------------------------------------------------------------------

_SAMPLER = "use temperature, top_p, top_k, min_p and the penalties"
_FORMAT = "use response_format of type json_schema"
REFUSED: dict[str, Field] = {
    "ignore_eos": refused("post to /v1/chat/completions or /v1/completions", False),
    "min_tokens": refused("post to /v1/chat/completions or /v1/completions", 0),
    "logit_bias": refused("post to /v1/chat/completions or /v1/completions", {}),
    "prompt_logprobs": refused("the prompt's log-probabilities are not told"),
    "guided_json": refused(_FORMAT),
    "guided_regex": refused("use response_format with a string schema that has a pattern"),
    "guided_choice": refused("use response_format with an enum"),
    "structured_outputs": refused(_FORMAT),
    "guided_grammar": refused("use guided_regex, guided_choice or response_format", ""),
    "grammar": refused("use guided_regex, guided_choice or response_format", ""),
    "ebnf": refused("use guided_regex, guided_choice or response_format", ""),
    "include_stop_str_in_output": refused("a stop string is never part of the answer", False),
    "no_stop_trim": refused("a stop string is never part of the answer", False),
    "skip_special_tokens": refused("tags are read, and are part of no text", True),
    "detokenize": refused("answers are text; use return_token_ids for ids", True),
    "return_tokens_as_token_ids": refused("use return_token_ids", False),
    "return_hidden_states": refused("the model's inner states are not told", False),
    "use_beam_search": refused("use n with a temperature", False),
    "num_beams": refused("use n with a temperature", 1),
    "do_sample": refused("use temperature 0 for greedy answers", True),
    **{name: refused(_SAMPLER, 1, 1.0) for name in ("typical_p", "typical", "tfs_z", "tfs")},
    **{
        name: refused(_SAMPLER, 0, 0.0)
        for name in (
            *("top_a", "mirostat", "mirostat_mode", "dynatemp_range", "dry_multiplier", "xtc_probability"),
            *("epsilon_cutoff", "eta_cutoff", "smoothing_factor", "penalty_alpha", "no_repeat_ngram_size"),
        )
    },
    "repeat_last_n": refused("the penalties look at all of prompt and answer", -1, 0),
    "samplers": refused(_SAMPLER, []),
    "bad_words": refused("use logit_bias", []),
    "allowed_token_ids": refused("use response_format or guided_choice", []),
    "stop_regex": refused("use stop, or guided_regex for the whole answer"),
    "prompt_embeds": refused("send text, or ids"),
    "guided_whitespace_pattern": refused("write the white space into guided_regex"),
    "custom_logit_processor": refused("use logit_bias, guided_regex or response_format"),
    "logits_processors": refused("use logit_bias, guided_regex or response_format", []),
    "vllm_xargs": refused("send the fields themselves", {}),
    "custom_params": refused("send the fields themselves", {}),
    "extra_body": refused("clients merge it into the request: send its fields beside model", {}),
    "options": refused("send its fields beside model", {}),
    "truncate_prompt_tokens": refused("a prompt that is too long is refused; shorten it"),
    "lora_path": refused("one model answers; its name is model"),
    "lora": refused("one model answers; its name is model", []),
    "safe_prompt": refused("write it into a system message", False),
    "raw_output": refused("use return_token_ids", False),
    "n_probs": refused("use logprobs", 0),
    "post_sampling_probs": refused("log-probabilities are those of the unmodified model", False),
}
CHAT_REFUSED: dict[str, Field] = {
    "include_reasoning": refused("the thought is always told, in reasoning_content", True),
    "separate_reasoning": refused("the thought is always told apart, in reasoning_content", True),
    "reasoning_format": refused(
        "the thought is told apart, in reasoning_content", "auto", "deepseek", "deepseek-legacy", "parsed"
    ),
    "reasoning_split": refused("the thought is always told apart, in reasoning_content", True),
    "modalities": refused("answers are text", ["text"]),
    "echo": refused("the answer alone is told", False),
    "audio": refused("answers are text"),
    "images": refused("only text can be read; describe them in a message"),
    "prediction": refused("use speculation, which needs no prediction"),
    "moderation": refused("ask a model of your own to judge"),
    "web_search_options": refused("give a tool that searches"),
    "enable_search": refused("give a tool that searches", False),
    "search_options": refused("give a tool that searches"),
    "search_parameters": refused("give a tool that searches"),
    "plugins": refused("give tools", []),
    "preserve_thinking": refused('use history, which may be "keep"', False),
    "thinking_forced_open": refused("use enable_thinking", False),
    "reasoning_in_content": refused("the thought is told apart, in reasoning_content", False),
    "prompt_mode": refused("write it into a system message"),
    "documents": refused("write them into a message", []),
    "functions": refused("use tools", []),
    "function_call": refused("use tool_choice", "none", "auto"),
    "chat_template": refused("a request's template is never executed"),
    "incremental_output": refused("the chunks of a stream add up to the answer", True),
    "prompt": refused("use messages, or post to /v1/completions"),
    "input": refused("use messages, or post to /v1/responses"),
    "system": refused("write a message with the role system"),
    "instructions": refused("write a message with the role system"),
    "max_output_tokens": refused("use max_completion_tokens"),
    "stop_sequences": refused("use stop"),
    "format": refused(_FORMAT),
    "best_of": refused("use n", 1),
}
TEXT_REFUSED: dict[str, Field] = {
    "suffix": refused("text is added at the end; to fill a gap, write the fim tokens of the model into prompt", ""),
    "messages": refused("use prompt, or post to /v1/chat/completions"),
    "tools": refused("post to /v1/chat/completions", []),
}
