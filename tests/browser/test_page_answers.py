"""What can be done with an answer: go on with it, edit it, look into it; and what is told of it."""

import json

import pytest
from pdf_made import pdf, scan
from steps import answered_by, ask, plain, saved, send, set_mode, shows, whole


def test_an_answer_that_was_cut_is_gone_on_with(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    answer = ask(page, "cut")
    assert answer.locator(".problem").inner_text().startswith("The answer was cut at the token limit.")
    answered_by(page, said(" end in silence.", finish="stop"))
    requests = watched_bodies(page)
    answer.locator(".problem").get_by_role("button", name="Continue").click()
    shows(page.locator(".md"), "An answer that does not end in silence.")
    assert whole(page).locator(".versions").is_hidden(), "it is the same answer"
    assert requests[-1]["continue_final"] == "answer"
    assert requests[-1]["messages"][-1] == {"role": "assistant", "content": "An answer that does not"}
    assert not page.locator(".problem").is_visible()


def test_a_stopped_thought_is_gone_on_with(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    send(page, "a slow one")
    shows(page.locator(".thought-text"), "Step 3")
    page.keyboard.press("Escape")
    thought = whole(page).locator(".thought-text").inner_text()
    answered_by(page, said("Done.", thought=" And so on."))
    requests = watched_bodies(page)
    page.locator(".problem").get_by_role("button", name="Continue").click()
    shows(page.locator(".md"), "Done.")
    assert requests[-1]["continue_final"] == "thought" and requests[-1]["messages"][-1]["reasoning_content"].startswith(
        "Step 2"
    )
    assert page.locator(".thought-text").inner_text().startswith(thought.rstrip())
    assert page.locator(".thought-text").inner_text().rstrip().endswith("And so on.")


def test_an_answer_can_be_edited_and_the_old_one_stays(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    answer = ask(page, "hello")
    answer.locator(".edit").click()
    page.locator(".edit-box").fill("It is **43**.")
    page.keyboard.press("Enter")
    page.locator(".md strong").wait_for()
    assert page.locator(".answer .versions").inner_text() == "2/2" and page.locator(".facts").inner_text() == "edited"
    assert len(scripted.seen) == 1
    ask(page, "and?")
    assert scripted.seen[-1][0][1]["content"] == "It is **43**."
    page.locator(".answer").first.get_by_role("button", name="Previous version").click()
    assert page.locator(".md").first.inner_text().strip() == "It is 42."


def test_with_several_models_each_answer_says_whose_it_is(visit):
    from live_server import running
    from scripted_chat import ScriptedChat

    with running([ScriptedChat("fast"), ScriptedChat("good")]) as url:
        page = visit(url).page
        assert ask(page, "hello").locator(".who").inner_text() == "fast"
        page.locator("#model").select_option("good")
        page.locator(".answer .again").click()
        page.wait_for_selector(".answer .versions:not([hidden])")
        assert whole(page).locator(".who").inner_text() == "good"


def test_with_one_model_no_answer_says_whose_it_is(visit, scripted_url):
    page = visit(scripted_url).page
    assert not ask(page, "hello").locator(".who").is_visible()


def test_the_closing_phrase_is_not_shown_as_the_models_words(visit, scripted_url):
    page = visit(scripted_url).page
    closing = {"reasoning_content": "\n\nConsidering the limited time.", "closing_phrase": True}
    usage = {"prompt_tokens": 9, "completion_tokens": 30}
    usage["completion_tokens_details"] = {"reasoning_tokens": 16, "closing_phrase_tokens": 8}
    report = {
        "mode": "thinking",
        "thinking_end_reason": "budget",
        "thinking_budget_applied": 16,
        "closing_phrase_tokens": 8,
    }
    chunks = [
        delta(reasoning_content="12 and 30"),
        {"choices": [{"index": 0, "delta": closing}]},
        {"choices": [{"index": 0, "delta": {"content": "42"}, "finish_reason": "stop"}], "sansi": report},
        {"choices": [], "usage": usage},
    ]
    answered_by(page, chunks)
    answer = ask(page, "hello")
    assert answer.locator(".thought-text").inner_text().split("\n") == ["12 and 30", "", "— cut at 16 tokens —"] or (
        "Considering" not in answer.locator(".thought-text").inner_text()
    )
    assert answer.locator(".thought-cut").inner_text() == "— cut at 16 tokens —"
    assert answer.locator(".thought-count").inner_text() == "16 tokens"
    answer.locator(".did").click()
    report = plain(answer.locator(".report").inner_text())
    assert "16 thought + 8 closing + 6 answer tokens" in report
    assert "“Considering the limited time.” (8 tokens, not the model's own)" in report


def test_token_probabilities_are_asked_for_when_they_are_wanted(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    answer = ask(page, "hello")
    answer.locator(".did").click()
    top = [{"token": "42", "logprob": -0.1}, {"token": "43", "logprob": -2.4}]
    first = {"token": "It is ", "logprob": 0.0, "top_logprobs": []}
    told = {"content": [first, {"token": "42", "logprob": -0.1, "top_logprobs": top}]}
    body = {"choices": [{"index": 0, "message": {"content": "It is 42."}, "logprobs": told, "finish_reason": "stop"}]}
    requests = watched_bodies(page)
    page.route("**/v1/chat/completions", lambda route: route.fulfill(json=body), times=1)
    page.get_by_role("button", name="Token probabilities").click()
    token = page.locator(".token", has_text="42")
    assert token.get_attribute("aria-label") == "“42”, 90%"
    token.hover()
    assert page.locator(".alternatives li").all_inner_texts()[1].split() == ["43", "9.1%"]
    page.locator(".token").first.focus()
    page.keyboard.press("ArrowRight")
    assert token.evaluate("e => e === document.activeElement")
    assert requests[-1]["logprobs"] is True and requests[-1]["seed"] == 7 and "stream" not in requests[-1]


def test_a_number_is_written_large_and_a_text_is_not(visit, scripted_url):
    page = visit(scripted_url).page
    assert "short" in ask(page, "hello").locator(".md").get_attribute("class")
    assert "short" not in ask(page, "How does merge sort work?").locator(".md").get_attribute("class")


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("Temperature", "9", "0 to 2"),
        ("Top k", "1.5", "whole number"),
        ("Seed", "-1", "digits"),
        ("Max tokens", "0", "at least 1"),
    ],
)
def test_a_value_that_is_refused_says_so_and_is_not_sent(visit, scripted, scripted_url, field, value, wanted):
    page = visit(scripted_url).page
    page.locator("#tune").click()
    box = page.get_by_label(field, exact=True)
    box.fill(value)
    assert box.get_attribute("aria-invalid") == "true"
    wrong = page.locator(f"#{box.get_attribute('aria-describedby')}")
    assert wrong.inner_text().startswith("Not used:") and wanted in wrong.inner_text()
    red = page.evaluate("getComputedStyle(document.querySelector('.bad:not([hidden])')).color")
    page.get_by_label("System prompt").focus()
    assert box.evaluate("e => getComputedStyle(e).borderTopColor") == red
    page.keyboard.press("Escape")
    ask(page, "hello")
    options = scripted.seen[-1][1]
    assert (options.temperature, options.top_k, options.seed, options.max_tokens) == (None, None, None, None)


def test_tools_tell_the_place_of_a_mistake_and_are_formatted(visit, scripted_url):
    page = visit(scripted_url).page
    page.locator("#tune").click()
    box = page.get_by_label("Your own tools")
    box.fill('[\n  {"type": "function",, "function": {}}\n]')
    shows(page.locator("#tools-wrong"), "this is no JSON (line 2, column 23)")
    box.fill('[{"type": "function", "function": {}}]')
    shows(page.locator("#tools-wrong"), "[0].function.name must be a name")
    box.fill("")
    page.get_by_role("button", name="Insert an example").click()
    assert "get_weather" in box.input_value() and not page.locator("#tools-wrong").is_visible()
    box.fill(json.dumps(json.loads(box.input_value())))
    page.get_by_role("button", name="Format").click()
    assert box.input_value().count("\n") > 5
    page.keyboard.press("Escape")
    assert page.locator("#tools-on").is_visible()


def test_the_calculator_runs_by_itself(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    page.locator("#tune").click()
    page.get_by_label("Calculator").check()
    page.keyboard.press("Escape")
    send(page, "Please multiply 17 and 23.")
    shows(page.locator(".results"), "run by the server")
    page.wait_for_selector(".results ~ .answer .md:not(:empty)")
    assert whole(page).locator(".md").inner_text().strip() == "The tool says: 391"
    assert scripted.seen[0][1].tools[0]["function"]["name"] == "calculator"


def test_files_go_along_as_text(visit, scripted, scripted_url, tmp_path):
    page = visit(scripted_url).page
    (tmp_path / "notes.md").write_text("# Notes\n\n```\nx\n```\n", encoding="utf-8")
    page.locator("#attach-file").set_input_files([tmp_path / "notes.md"])
    shows(page.locator("#attachments .ready"), "notes.md")
    assert page.locator("#gauge-text").inner_text().split()[0] != "0"
    ask(page, "What does it say?")
    assert scripted.seen[-1][0][0]["content"] == (
        "What does it say?\n\nAttached file “notes.md”:\n````\n# Notes\n\n```\nx\n```\n````"
    )
    assert not page.locator("#attachments li").count()
    assert page.locator(".bubble .attached").inner_text() == "notes.md"
    page.locator(".bubble .attached summary").click()
    assert "# Notes" in page.locator(".bubble .attached pre").inner_text()


def test_a_pdf_goes_along_with_its_pages_and_tokens(visit, scripted, scripted_url, tmp_path):
    page = visit(scripted_url).page
    (tmp_path / "paper.pdf").write_bytes(pdf(["Whoever thinks three times", "三思而后行"]))
    (tmp_path / "old.txt").write_bytes("三思而后行，他在街上走了很久。".encode("gb18030"))
    page.locator("#attach-file").set_input_files([tmp_path / "paper.pdf"])
    shows(page.locator("#attachments .ready"), "2 pages")
    count = len(scripted.ids_of("[Page 1]\nWhoever thinks three times\n\n[Page 2]\n三思而后行"))
    assert f"2 pages · {count} tokens" in plain(page.locator("#attachments .ready").inner_text())
    page.locator("#attach-file").set_input_files([tmp_path / "old.txt"])
    shows(page.locator("#attachments .ready"), "it was read as gb18030")
    page.get_by_role("button", name="Remove “old.txt”").click()
    ask(page, "What does it say?")
    assert scripted.seen[-1][0][0]["content"] == (
        "What does it say?\n\nAttached file “paper.pdf”:\n"
        "```\n[Page 1]\nWhoever thinks three times\n\n[Page 2]\n三思而后行\n```"
    )
    assert page.locator(".bubble .attached").inner_text().split("\n") == ["paper.pdf", "2 pages"]


def test_why_a_file_is_not_attached_stands_where_it_would(visit, scripted, scripted_url, tmp_path):
    watched = visit(scripted_url)
    page = watched.page
    watched.expect("400")  # the browser tells of each
    refused = page.locator("#attachments .refused")
    (tmp_path / "scan.pdf").write_bytes(scan())
    (tmp_path / "secret.pdf").write_bytes(pdf(["x"], password="secret"))
    (tmp_path / "half.pdf").write_bytes(pdf(["x"])[:300])
    (tmp_path / "picture.png").write_bytes(bytes(range(256)))
    (tmp_path / "empty.txt").write_bytes(b" \n")
    for name, said in {
        "scan.pdf": "holds pictures of text and no text",
        "secret.pdf": "is encrypted",
        "half.pdf": "is broken",
        "picture.png": "“picture.png” is no text",
        "empty.txt": "holds no text",
    }.items():
        page.locator("#attach-file").set_input_files([tmp_path / name])
        shows(refused, said)
        assert refused.count() == 1 and page.locator("#send").is_disabled()
    page.get_by_role("button", name="Remove “empty.txt”").click()
    assert not page.locator("#attachments").is_visible()
    page.locator("#attach-file").set_input_files([tmp_path / "scan.pdf"])
    shows(refused, "run it through text recognition")
    ask(page, "hello")
    assert scripted.seen[-1][0][0]["content"] == "hello" and not refused.count()


def test_a_message_waits_for_a_file_that_is_being_read(visit, scripted_url, tmp_path):
    watched = visit(scripted_url)
    page = watched.page
    watched.expect("ERR_ABORTED|Failed to load")
    (tmp_path / "slow.pdf").write_bytes(pdf(["text"]))
    page.route("**/v1/documents*", lambda route: None)  # it never comes
    page.locator("#attach-file").set_input_files([tmp_path / "slow.pdf"])
    shows(page.locator("#attachments .reading"), "reading…")
    page.locator("#question").fill("hello")
    assert page.locator("#send").is_disabled()
    page.get_by_role("button", name="Remove “slow.pdf”").click()
    assert page.locator("#send").is_enabled() and not page.locator("#attachments").is_visible()


def test_a_file_that_is_dropped_is_attached(visit, scripted_url):
    page = visit(scripted_url).page
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(['print(1)'], 'one.py', {type: 'text/x-python'}));
          document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        }"""
    )
    shows(page.locator("#attachments"), "one.py")
    page.get_by_role("button", name="Remove “one.py”").click()
    assert not page.locator("#attachments").is_visible()


def test_prompts_are_saved_taken_and_deleted(visit, scripted_url):
    page = visit(scripted_url).page

    def open_prompts():
        page.locator("#more").click()
        page.locator("#menu").get_by_role("button", name="Saved prompts").click()

    page.locator("#question").fill("Explain it to a child.")
    open_prompts()
    page.get_by_role("button", name="Save what is in the message box").click()
    page.keyboard.press("Escape")
    page.locator("#question").fill("")
    page.reload()
    page.wait_for_selector(".welcome .chip")
    open_prompts()
    page.locator(".prompt").click()
    assert page.locator("#question").input_value() == "Explain it to a child."
    open_prompts()
    page.get_by_role("button", name="Delete “Explain it to a child.”").click()
    assert not page.locator(".prompt").count()


def test_columns_of_a_table_are_aligned_without_a_style_of_their_own(visit, scripted_url):
    page = visit(scripted_url).page
    cells = ask(page, "How does merge sort work?").locator("tbody tr:first-child td")
    aligned = cells.evaluate_all("all => all.map(e => getComputedStyle(e).textAlign)")
    assert aligned == ["start", "right", "center"] and not page.locator(".md [style*=text-align]").count()


def test_a_long_message_is_folded(visit, scripted_url):
    page = visit(scripted_url).page
    ask(page, "line\n" * 500)
    fold = page.locator(".fold")
    assert fold.inner_text() == "Show all" and page.locator(".words").bounding_box()["height"] < 300
    fold.click()
    assert fold.inner_text() == "Show less" and page.locator(".words").bounding_box()["height"] > 300


def test_what_the_model_is_stays_and_the_examples_come_back(visit, scripted, carded_url):
    page = visit(carded_url).page
    assert page.locator("#lead").inner_text() == "A scripted model: it says what a test wants."
    assert page.locator(".welcome .chip-title").all_inner_texts() == ["Sort", "Add and subtract"]
    ask(page, "hello")
    assert page.locator("#about-text").inner_text() == "A scripted model: it says what a test wants."
    page.locator("#examples-again").click()
    page.locator("#chips-again .chip").nth(1).click()
    page.wait_for_selector(".question:nth-of-type(3)")
    whole(page)
    assert scripted.seen[-1][0][-1]["content"] == "What is 12 + 30?"


def test_a_budget_can_be_typed_and_the_recommended_one_is_a_click_away(visit, scripted, carded_url):
    page = visit(carded_url).page
    field = page.locator("#budget-typed input")
    assert field.input_value() == "unlimited"
    field.fill("37")
    field.press("Enter")
    assert page.locator("#budget").get_attribute("aria-valuetext") == "37 tokens"
    ask(page, "hello")
    assert scripted.seen[-1][1].thinking_budget == 37
    assert page.locator("#recommended").inner_text() == "Recommended: 128 tokens"
    page.locator("#recommended").click()
    assert field.input_value() == "128" and not page.locator("#recommended").is_visible()


def test_a_mode_is_explained_without_a_pointer(visit, scripted_url):
    page = visit(scripted_url).page
    assert page.locator("#mode-note").inner_text() == "Auto: thinks first, unless your message says /no_think."
    set_mode(page, "direct")
    assert page.locator("#mode-note").inner_text() == "No thinking: answers without a thought."


def test_closing_the_question_for_a_key_leaves_a_page_that_can_be_used(visit, scripted):
    from live_server import running
    from sansi.serve.http.settings import Keys

    with running([scripted], keys=Keys(["open-sesame-and-more"])) as url:
        watched = visit(url, wait="#key[open]")
        watched.expect("401")
        page = watched.page
        assert "--api-key-file" in page.locator("#key").inner_text()
        page.keyboard.press("Escape")
        shows(page.locator("#notice"), "This server asks for a key")
        assert not page.locator("#model-field").is_visible()
        page.locator("#question").fill("hello")
        page.keyboard.press("Enter")  # asks for the key again, and keeps what was typed
        page.get_by_label("API key").fill("open-sesame-and-more")
        page.keyboard.press("Enter")
        page.wait_for_selector(".welcome .chip")
        assert page.locator("#question").input_value() == "hello" and not page.locator("#notice").is_visible()


def test_two_tabs_on_one_conversation_lose_nothing(visit, scripted, scripted_url):
    one = visit(scripted_url).page
    ask(one, "first")
    saved(one, "done")
    two = one.context.new_page()
    two.add_init_script("delete window.BroadcastChannel")  # it hears of nothing before it keeps its own
    two.goto(one.url)
    two.wait_for_selector(".answer")
    for page in (one, two):
        set_mode(page, "direct")
    send(one, "a slow one")
    send(two, "a slow two")
    for page in (one, two):
        page.bring_to_front()  # a page behind another is not drawn
        shows(page.locator(".md").last, "word5")
        page.keyboard.press("Escape")
        whole(page)
    for page in (one, two):
        page.bring_to_front()
        shows(page.locator(".question .versions"), "/2")
    assert one.locator(".bubble").last.inner_text() == "a slow one"
    assert two.locator(".bubble").last.inner_text() == "a slow two"
    one.bring_to_front()
    one.reload()
    one.wait_for_selector(".question .versions:not([hidden])")
    texts = set()
    for _ in range(2):
        texts.add(one.locator(".bubble").last.inner_text())
        arrows = one.locator(".question .versions button:not([disabled])")
        arrows.first.click()
    assert texts == {"a slow one", "a slow two"}
    assert all("word5" in text for text in one.locator(".md").all_inner_texts()[-1:])


def test_a_tab_that_is_opened_meanwhile_sees_the_answer_grow(visit, scripted_url):
    one = visit(scripted_url).page
    set_mode(one, "direct")
    send(one, "a slow one")
    shows(one.locator(".md"), "word3")
    saved(one, "running")
    two = one.context.new_page()
    two.goto(one.url)
    two.wait_for_selector(".answer.running")
    shows(two.locator(".md"), "word60")
    two.bring_to_front()
    two.keyboard.press("Escape")  # it is stopped from here, too
    shows(two.locator(".problem"), "Stopped.")
    ask(two, "hello")
    assert two.locator(".bubble").all_inner_texts() == ["a slow one", "hello"]


# --- short windows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(844, 390), (740, 360), (1280, 600)])
def test_a_short_window_leaves_room_for_the_conversation(visit, scripted_url, size):
    page = visit(scripted_url, viewport=dict(zip(("width", "height"), size, strict=True))).page
    assert page.locator(".welcome h1").bounding_box()["y"] >= 0
    assert page.locator(".welcome .chip").first.bounding_box()["y"] < page.locator(".dock").bounding_box()["y"]
    ask(page, "hello")
    middle = page.locator("#scroller").bounding_box()
    assert middle["height"] > 0.5 * size[1] and middle["width"] > 0.7 * size[0]


# --- what the tests are made with -------------------------------------------------------------------------------------


def delta(**fields):
    return {"choices": [{"index": 0, "delta": fields}]}


def said(text, thought="", finish="stop"):
    usage = {"prompt_tokens": 9, "completion_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 2}}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    first = [delta(reasoning_content=thought)] if thought else []
    return [*first, delta(content=text), last, {"choices": [], "usage": usage}]


def watched_bodies(page):
    """The bodies of the requests for answers, as they come."""
    bodies = []
    page.on("request", lambda request: bodies.append(request.post_data_json) if "completions" in request.url else None)
    return bodies
