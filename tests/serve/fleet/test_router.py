"""Where requests go: to the beginning of their prompt, as long as that replica is not much busier than others."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.serve.fleet.prefix import BLOCK, MOST_BLOCKS, answers_of, asked_in, blocks_of, prompt_blocks
from sansi.serve.fleet.router import Router

TEXTS = st.text(min_size=0, max_size=6 * BLOCK)


def router(replicas=3, **options):
    made = Router(replicas, **options)
    for number in range(replicas):
        made.up(number)
    return made


def chat(*contents, **more):
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]
    return asked_in(json.dumps({"model": "m", "messages": messages, **more}).encode())


# --- the beginning of a prompt ---


@given(TEXTS, TEXTS)
def test_texts_that_begin_alike_have_the_same_first_blocks(text, more):
    longer = blocks_of(text + more)
    assert longer[: len(text) // BLOCK] == blocks_of(text) and len(longer) == len(text + more) // BLOCK


@given(TEXTS, TEXTS)
def test_a_block_is_known_by_all_that_is_before_it(one, other):
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    first, second = blocks_of(one), blocks_of(other)
    same = sum(1 for a, b in zip(first, second, strict=False) if a == b)
    assert same == shared // BLOCK


@given(st.lists(st.text(max_size=3 * BLOCK), min_size=1, max_size=6))
def test_a_conversation_that_goes_on_begins_as_it_was(contents):
    before, after = prompt_blocks(chat(*contents[:-1])), prompt_blocks(chat(*contents))
    assert after[: len(before)] == before


def test_what_a_body_says_beside_the_prompt_does_not_count():
    text = "word " * 100
    assert prompt_blocks(chat(text)) == prompt_blocks(chat(text, temperature=0.5, seed=3, stream=True))
    turned = asked_in(json.dumps({"messages": [{"content": text, "role": "user"}], "model": "m"}).encode())
    assert prompt_blocks(turned) == prompt_blocks(chat(text))
    parts = [{"type": "text", "text": text}]
    assert prompt_blocks(chat(parts)) == prompt_blocks(chat(text))
    assert prompt_blocks(chat(text)) != prompt_blocks(chat(text, system="Be brief."))
    other = asked_in(json.dumps({"model": "n", "messages": [{"role": "user", "content": text}]}).encode())
    assert prompt_blocks(chat(text))[0] != prompt_blocks(other)[0]


def test_every_dialect_has_a_beginning():
    text = "word " * 100
    bodies = [
        {"prompt": text},
        {"prompt": [text, "b"]},
        {"input": text, "instructions": "Be brief."},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]},
        {"system": text, "messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function", "function": {"name": text}}]},
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": text}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": text}}]}]},
    ]
    for body in bodies:
        assert len(prompt_blocks(asked_in(json.dumps(body).encode()))) >= len(text) // BLOCK, body


def test_long_prompts_are_looked_at_as_far_as_it_counts():
    assert len(prompt_blocks(chat("a" * 10**6))) == MOST_BLOCKS


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_what_is_no_request_has_none(body):
    asked = asked_in(body)
    assert prompt_blocks(asked) == () and answers_of(asked) == 1


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["role", "content", "text", "tool_calls", "a"]), inner), max_leaves=8))  # fmt: skip
def test_any_messages_are_looked_at_without_an_error(value):
    prompt_blocks(asked_in(json.dumps({"messages": value, "tools": value, "prompt": value}).encode()))


def test_how_many_answers_are_asked_for():
    bodies = [json.dumps({"n": n}).encode() for n in (3, 0, True, "2", 10**9, None)]
    assert [answers_of(asked_in(body)) for body in bodies] == [3, 1, 1, 1, 128, 1]


# --- the choice ---

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(["a", "b", "c", ""]), st.integers(0, 5), st.integers(1, 3)),
        st.tuples(st.just("end"), st.integers(0, 50)),
        st.tuples(st.just("down"), st.integers(0, 3)),
        st.tuples(st.just("up"), st.integers(0, 3)),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, 4))
def test_no_order_of_events_breaks_the_rules(steps, spill):
    """Only what is up is chosen, nobody is left far behind, and loads add up."""
    made = router(4, spill=spill, blocks_kept=20)
    up, running = {0, 1, 2, 3}, []
    for step in steps:
        if step[0] == "down":
            made.down(step[1])
            up.discard(step[1])
        elif step[0] == "up":
            made.up(step[1])
            up.add(step[1])
        elif step[0] == "end" and running:
            made.end(*running.pop(step[1] % len(running)))
        elif step[0] == "ask":
            blocks = blocks_of(step[1] * BLOCK * step[2])
            choice = made.choose(blocks)
            assert (choice is None) == (not up)
            if choice is None:
                continue
            least = min(made.load(number) for number in up)
            assert choice.replica in up and made.load(choice.replica) <= least + spill
            assert choice.matched <= len(blocks) and (choice.how == "prefix") == (choice.matched > 0)
            made.begin(choice.replica, blocks, step[3])
            running.append((choice.replica, step[3]))
        assert made.are_up() == sorted(up)
        assert sum(made.load(number) for number in range(4)) == sum(count for _, count in running)
        assert all(len(known.blocks) <= 20 for known in made._known)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40))
def test_one_after_the_other_each_beginning_stays_where_it_is(asked):
    made, seen = router(3), {}
    for letter in asked:
        blocks = blocks_of(letter * BLOCK * 4)
        choice = made.choose(blocks)
        made.begin(choice.replica, blocks)
        made.end(choice.replica)
        assert seen.setdefault(letter, choice.replica) == choice.replica
        assert (choice.how == "prefix") == (choice.matched == 4)


def test_new_beginnings_go_to_the_replica_that_has_read_the_least():
    made, counts = router(3), [0, 0, 0]
    for number in range(30):
        blocks = blocks_of(f"{number:03} " * BLOCK)
        choice = made.choose(blocks)
        made.begin(choice.replica, blocks)
        made.end(choice.replica)
        counts[choice.replica] += 1
    assert counts == [10, 10, 10]


def test_a_busy_replica_s_prompts_spill_over():
    made, blocks = router(2, spill=3), blocks_of("a" * BLOCK * 8)
    went = []
    for _ in range(12):
        choice = made.choose(blocks)
        made.begin(choice.replica, blocks)
        went.append((choice.replica, choice.how))
    assert went[:5] == [(0, "load"), (0, "prefix"), (0, "prefix"), (0, "prefix"), (1, "spill")]
    assert {how for _, how in went[5:]} == {"prefix"} and abs(made.load(0) - made.load(1)) <= 3


def test_the_longest_beginning_wins():
    made = router(3)
    made.begin(0, blocks_of("a" * BLOCK * 2))
    made.begin(1, blocks_of("a" * BLOCK * 5))
    assert made.choose(blocks_of("a" * BLOCK * 8)).replica == 1
    assert made.choose(blocks_of("a" * BLOCK * 8), but={1}).replica == 0


def test_what_was_started_anew_has_read_nothing():
    made, blocks = router(2), blocks_of("a" * BLOCK * 4)
    made.begin(0, blocks)
    made.end(0)
    made.down(0)
    assert made.choose(blocks).replica == 1
    made.up(0)
    assert made.choose(blocks).how == "load"


def test_first_blocks_are_forgotten_last():
    made = router(1, blocks_kept=6)
    made.begin(0, blocks_of("a" * BLOCK * 4))
    made.begin(0, blocks_of("b" * BLOCK * 4))
    assert made.choose(blocks_of("a" * BLOCK * 4)).matched == 2
