"""Conversations are kept in the browser: reload, rename, search, delete, export and import."""

import json

from steps import BITS, KEPT, ask, saved, send


def entry(page, label: str) -> None:
    page.locator("#chat-menu").click()
    page.locator("#menu").get_by_role("button", name=label).click()


def test_a_reload_finds_the_conversation(visit, nano_url):
    page = visit(nano_url).page
    before = ask(page, BITS).inner_text()
    saved(page, "done")
    page.reload()
    page.wait_for_selector(".answer")
    assert page.locator(".answer").inner_text() == before
    assert page.locator(".item.current").inner_text() == BITS
    page.goto(nano_url)  # without the conversation's address: a new one, and the old one in the list
    page.wait_for_selector(".welcome .chip")
    page.locator(".item-name").click()
    assert page.locator(".answer").inner_text() == before


def test_an_answer_that_a_reload_cut_says_so(visit, scripted_url):
    page = visit(scripted_url).page
    page.locator("#question").fill("a slow one")
    page.keyboard.press("Enter")
    page.wait_for_selector(".thought-text")
    page.wait_for_function("() => document.querySelector('.thought-text').textContent.length > 40")
    page.reload()  # at once: what came is kept all the same
    page.wait_for_selector(".answer .problem:not([hidden])")
    assert "The page was closed" in page.locator(".problem").inner_text()
    assert page.locator(".thought-text").text_content().startswith("Step 2: check whether")


def test_rename_search_delete_and_undo(visit, scripted_url):
    page = visit(scripted_url).page
    ask(page, "about apples")
    page.locator("#new-chat").click()
    ask(page, "about pears")
    entry(page, "Rename")
    page.locator("#list input").fill("Fruit <b>two</b>")
    page.keyboard.press("Enter")
    assert page.locator("#title").inner_text() == "Fruit <b>two</b>"
    page.locator("#search").fill("APPLES")
    assert page.locator(".item-name").all_inner_texts() == ["about apples"]
    page.locator("#search").fill("nowhere")
    assert page.locator("#list").inner_text() == "Nothing found"
    page.locator("#search").fill("")
    entry(page, "Delete")
    assert page.locator(".item-name").all_inner_texts() == ["about apples"]
    page.locator("#toast button").click()
    page.locator(".item-name").nth(1).wait_for()
    assert sorted(page.locator(".item-name").all_inner_texts()) == ["Fruit <b>two</b>", "about apples"]


def test_a_growing_answer_leaves_the_list_alone(visit, scripted_url):
    from live_server import wait_for

    page = visit(scripted_url).page
    ask(page, "about apples")
    page.locator("#new-chat").click()
    send(page, "a slow one")
    page.wait_for_selector(".thought-text")

    def saved_again():
        before = page.evaluate(KEPT)
        assert wait_for(lambda: page.evaluate(KEPT) > before)

    page.locator(".item-name", has_text="about apples").focus()
    saved_again()
    assert page.evaluate("document.activeElement.textContent") == "about apples"
    page.locator(".item", has_text="about apples").locator("button").nth(1).click()
    page.locator("#menu").get_by_role("button", name="Rename").click()
    page.keyboard.type("Frui")
    saved_again()
    page.keyboard.type("t")
    page.keyboard.press("Enter")
    assert page.locator(".item-name", has_text="Fruit").evaluate("e => e === document.activeElement")


def test_a_name_that_is_left_by_a_click_is_kept_and_the_click_counts(visit, scripted_url):
    page = visit(scripted_url).page
    ask(page, "about apples")
    entry(page, "Rename")
    page.locator("#list input").fill("Fruit")
    page.locator("#question").click()
    assert page.locator("#title").inner_text() == "Fruit"
    assert page.evaluate("document.activeElement.id") == "question"


def test_export_and_import_bring_everything_back(visit, scripted_url, tmp_path):
    page = visit(scripted_url).page
    ask(page, "How is the weather?")
    page.locator(".results-form textarea").fill("rain")
    page.locator(".results-form button").click()
    page.wait_for_selector(".results ~ .answer:not(.running)")
    page.locator(".again").last.click()
    page.wait_for_selector(".answer .versions:not([hidden])")
    page.wait_for_selector(".log > :last-child.answer:not(.running)")
    shown = page.locator("#log").inner_text()
    with page.expect_download() as download:
        entry(page, "Export as JSON")
    file = tmp_path / "chats.json"
    download.value.save_as(file)
    entry(page, "Delete")
    assert not page.locator(".item").count()
    page.locator("#import-file").set_input_files(file)
    page.wait_for_selector(".answer")
    assert page.locator("#log").inner_text() == shown
    assert json.loads(file.read_text())["format"] == "sansi-conversations"


def test_a_file_that_is_not_an_export_changes_nothing(visit, scripted_url, tmp_path):
    page = visit(scripted_url).page
    ask(page, "hello")
    with page.expect_download() as download:
        entry(page, "Export as JSON")
    good = json.loads(download.value.path().read_text())
    [node, *_] = good["conversations"][0]["nodes"].values()
    loop = json.loads(json.dumps(good))
    for each in loop["conversations"][0]["nodes"].values():
        each["parent"] = next(i for i, n in loop["conversations"][0]["nodes"].items() if n["role"] != each["role"])
    node["text"] = 5
    settings = [
        {"tools": "{"},
        {"tools": '[{"type": "x"}]'},
        {"seed": "1e9"},
        {"seed": str(2**63)},
        {"history": "none"},
        {"constructor": {}},
    ]
    for number, each in enumerate(settings):
        other = json.loads(download.value.path().read_text())
        other["conversations"][0]["settings"] = each
        (tmp_path / f"settings{number}.json").write_text(json.dumps(other))
    bad = {"no.json": "{", "other.json": "[]", "newer.json": json.dumps(good | {"version": 2})}
    bad |= {"wrong.json": json.dumps(good), "loop.json": json.dumps(loop)}
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
    for name in (*bad, *(f"settings{number}.json" for number in range(len(settings)))):
        page.locator("#import-file").set_input_files(tmp_path / name)
        page.locator("#toast").filter(has_text="Nothing was imported").wait_for()
        assert page.locator(".item").count() == 1
        page.evaluate("document.getElementById('toast').hidden = true")


def copied(page, start):
    """What is in the clipboard as soon as it begins so: a page copies while other things go on."""
    for _ in range(600):
        if (text := page.evaluate("navigator.clipboard.readText()")).startswith(start):
            break
        page.wait_for_timeout(100)
    assert text.startswith(start)
    return text


def test_copies_are_markdown_and_code(visit, scripted_url):
    page = visit(scripted_url).page
    ask(page, "How does merge sort work?")
    page.locator(".code-head button").click()
    assert copied(page, "def merge_sort(")
    page.locator(".answer").get_by_role("button", name="Copy as Markdown").click()
    assert copied(page, "## Sorting by halves")
    entry(page, "Copy as Markdown")
    assert "<summary>Thought</summary>" in copied(page, "# How does merge sort work?")
