"""What every chat endpoint has to do, with or without thoughts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sansi.deploy.conform.probe import QUESTION, TAGS, Probe, user
from sansi.deploy.conform.registry import Failed, NotOffered, check, offered

OPENING = 2
"""Tokens of `<think>` and the line break after it."""
FINISHED = ("stop", "length", "tool_calls", "content_filter", "function_call")


@check("answer", "a plain question gets an answer of the usual shape")
def answer(probe: Probe) -> str:
    found = probe.plain
    if found.status != 200:
        raise Failed(f"status {found.status} for a plain question", found)
    if not found.content.strip():
        raise Failed("choices[0].message.content is empty", found)
    if found.message.get("role") != "assistant":
        raise Failed(f"the message's role is {found.message.get('role')!r}, not 'assistant'", found)
    if found.finish not in FINISHED:
        raise Failed(f"finish_reason is {found.finish!r}", found)
    return f"{found.content.strip()[:60]!r}, {found.finish}"


@check("tags", "no control tag is in an answer's text")
def tags(probe: Probe) -> str:
    for found in (probe.plain, probe.thought):
        if inside := [tag for tag in TAGS if tag in found.content]:
            raise Failed(f"{inside[0]} stands in the content", found)
        if inside := [tag for tag in TAGS if tag in found.reasoning]:
            raise Failed(f"{inside[0]} stands in the thought", found)
    return "none in content or thought, in both modes"


@check("usage", "usage counts what was read and written")
def usage(probe: Probe) -> str:
    for found in (probe.plain, probe.thought):
        given = [found.usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
        numbers = [n for n in given if isinstance(n, int) and not isinstance(n, bool) and n > 0]
        if len(numbers) < 3:
            raise Failed("usage lacks prompt_tokens, completion_tokens or total_tokens, or one is not above 0", found)
        if numbers[0] + numbers[1] != numbers[2]:
            raise Failed(f"total_tokens is {numbers[2]}, not {numbers[0]} + {numbers[1]}", found)
    longer = probe.ask(QUESTION + " Answer with the number alone, please.", False)
    if longer.usage.get("prompt_tokens", 0) <= probe.plain.usage["prompt_tokens"]:
        raise Failed("a longer prompt does not count more prompt_tokens", probe.plain, longer)
    counted = probe.count(probe.plain.content)
    written = probe.plain.usage["completion_tokens"]
    if counted is not None and not counted <= written <= counted + 8:  # end of turn, an empty thought
        raise Failed(f"completion_tokens is {written}, and /tokenize counts {counted} in the text", probe.plain)
    return f"{probe.plain.usage['prompt_tokens']} read, {written} written"


@check("stream", "a stream adds up to the same answer")
def stream(probe: Probe) -> str:
    for thinking, whole in ((False, probe.plain), (True, probe.thought)):
        found = probe.stream(user(QUESTION), thinking)
        if found.status != 200:
            raise Failed(f"status {found.status} for stream: true", found.error)
        if "text/event-stream" not in found.content_type:
            raise Failed(f"the content type of a stream is {found.content_type!r}, not text/event-stream", found)
        if found.broken:
            raise Failed(f"an event is no JSON object: {found.broken[0][:80]!r}", found)
        if not found.done:
            raise Failed("the stream does not end with data: [DONE]", found)
        if found.finish != whole.finish:
            raise Failed(f"finish_reason is {found.finish!r} streamed and {whole.finish!r} whole", found, whole)
        if found.content.strip() != whole.content.strip() or found.reasoning.strip() != whole.reasoning.strip():
            raise Failed("greedy answers differ, streamed and whole", found, whole)
    return "both modes, thought and answer"


@check("stream-usage", "stream_options.include_usage gives the usage at the end")
def stream_usage(probe: Probe) -> str:
    found = probe.stream(user(QUESTION), False, stream_options={"include_usage": True})
    if found.status != 200:
        raise NotOffered(f"refused with status {found.status}")
    if not found.usage:
        raise Failed("no chunk has the usage", found)
    for name in ("prompt_tokens", "completion_tokens"):
        if found.usage.get(name) != probe.plain.usage.get(name):
            told = f"{found.usage.get(name)} streamed, {probe.plain.usage.get(name)} whole"
            raise Failed(f"{name} differ: {told}", found, probe.plain)
    return "as in the whole answer"


@check("template", "the prompt is rendered as the model's own template does")
def template(probe: Probe) -> str:
    if probe.count_prompt is None:
        raise NotOffered("not asked: give --reference FOLDER, a model folder with tokenizer and template")
    talk = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "19"},
        {"role": "user", "content": "And 20 more? 三思而后行"},
    ]
    for messages in (user(QUESTION), talk):
        for thinking in (True, False):
            expected, found = probe.count_prompt(messages, thinking), probe.chat(messages, thinking)
            begun = OPENING if thinking and found.reasoning else 0  # some servers begin the thought themselves
            if found.usage.get("prompt_tokens") not in (expected, expected + begun):
                told = f"{found.usage.get('prompt_tokens')} prompt_tokens {'with' if thinking else 'without'} thinking"
                why = f"the template makes {expected}: another template, or another tokenizer"
                raise Failed(f"{told}, and {why}", messages, found)
    return "prompt_tokens of two conversations in both modes"


@check("parts", "content may be a list of text parts")
def parts(probe: Probe) -> str:
    found = offered(probe.chat([{"role": "user", "content": [{"type": "text", "text": QUESTION}]}], False))
    if found.content.strip() != probe.plain.content.strip():
        raise Failed("the same question as a text part gets another greedy answer", found, probe.plain)
    return "the same answer"


@check("together", "many at once get what they would get alone")
def together(probe: Probe) -> str:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: probe.ask(QUESTION, False), range(8)))
    if bad := [found for found in answers if found.status != 200]:
        raise Failed(f"{len(bad)} of 8 requests at once failed with status {bad[0].status}", bad[0])
    unlike = [found for found in answers if found.content.strip() != probe.plain.content.strip()]
    if unlike:
        raise Failed(f"{len(unlike)} of 8 greedy answers at once differ from the one alone", unlike[0], probe.plain)
    return "8 of 8 alike"


@check("seed", "a seed repeats an answer, another seed makes another")
def seed(probe: Probe) -> str:
    options = {"temperature": 2.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "max_tokens": 48}
    text = "Write a line of a poem, any."
    drawn = [probe.ask(text, False, seed=number, **options) for number in (1, 1, 2, 3, 4)]
    if drawn[0].status != 200:  # these are not in OpenAI's own interface; llama.cpp's min_p is 0.05 unless it is told
        del options["top_k"], options["min_p"]
        drawn = [probe.ask(text, False, seed=number, **options) for number in (1, 1, 2, 3, 4)]
    if bad := next((found for found in drawn if found.status != 200), None):
        raise NotOffered(f"refused with status {bad.status}")
    texts = [found.content for found in drawn]
    if texts[0] != texts[1]:
        raise Failed("the same seed gives two different answers", drawn[0], drawn[1])
    if len(set(texts)) == 1:
        raise Failed("four seeds at temperature 2 give one and the same answer", drawn[0])
    return f"{len(set(texts))} different answers of 4 seeds"


@check("choices", "n gives so many choices")
def choices(probe: Probe) -> str:
    found = offered(probe.ask(QUESTION, False, n=2, temperature=1.0, max_tokens=16))
    given = found.body.get("choices") if isinstance(found.body, dict) else None
    if not isinstance(given, list) or sorted(choice.get("index", -1) for choice in given) != [0, 1]:
        raise Failed("n=2 does not give choices 0 and 1", found)
    return "two of two"


@check("logprobs", "log-probabilities are of the tokens of the answer")
def logprobs(probe: Probe) -> str:
    found = offered(probe.ask(QUESTION, False, logprobs=True, top_logprobs=2))
    told = found.choice.get("logprobs")
    entries = told.get("content") if isinstance(told, dict) else None
    if not isinstance(entries, list) or not entries:
        raise Failed("logprobs were asked for and are not in the choice", found)
    for entry in entries:
        if not entry.get("logprob", 1) <= 1e-6:
            raise Failed(f"a log-probability of {entry.get('logprob')}", entry)
        best = max((top.get("logprob", -1e9) for top in entry.get("top_logprobs", [])), default=None)
        if best is not None and entry["logprob"] < best - 1e-3:
            raise Failed("a greedy token is not the likeliest of its top_logprobs", entry)
    return f"{len(entries)} tokens"


@check("hang-up", "a client that hangs up leaves the server well")
def hang_up(probe: Probe) -> str:
    for _ in range(3):
        probe.endpoint.leave(user("Count from 1 to 1000."), temperature=0, max_tokens=2000)
    found = probe.ask(QUESTION, False)
    if found.status != 200 or found.content.strip() != probe.plain.content.strip():
        raise Failed("after three clients hung up, the answer is another one", found, probe.plain)
    return f"answers in {found.seconds:.2f} s after it"
