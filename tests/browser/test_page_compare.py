"""The same question at several budgets, side by side."""

import itertools
import json

from steps import PHONE, ask, overflow, plain, send, shows, violations

BUDGETS = [0, 4, 64, None]


def compare(page, text="What is 12 + 30?", budgets=BUDGETS):
    """Turn comparing on, set the budgets and ask."""
    page.locator("#compare").click()
    set_budgets(page, budgets)
    send(page, text)
    return all_whole(page, len(budgets))


def set_budgets(page, budgets):
    """Ascending, as the row keeps them."""
    fields = page.locator("#compare-budgets input")
    while fields.count() > 1:
        page.locator("#compare-budgets .drop:not(.add)").last.click()
    for i, budget in enumerate(budgets):
        if i:
            page.locator("#compare-budgets .add").click()
        if fields.last.input_value() != name(budget):
            fields.last.fill(name(budget))
            fields.last.press("Enter")


def name(budget):
    return "unlimited" if budget is None else str(budget)


def all_whole(page, count):
    page.wait_for_function(
        "n => document.querySelectorAll('.column').length === n && !document.querySelector('.column.running')",
        arg=count,
    )
    return page.locator(".column")


def test_a_question_is_answered_at_each_budget(visit, scripted, carded_url):
    page = visit(carded_url).page
    columns = compare(page)
    asked = sorted((o.thinking_budget is None, o.thinking_budget or 0) for _, o in scripted.seen)
    assert asked == [(False, 0), (False, 4), (False, 64), (True, 0)]
    assert len({options.seed for _, options in scripted.seen}) == 1, "one seed: shorter thoughts begin as longer ones"
    assert columns.locator(".column-budget input").evaluate_all("all => all.map(e => e.value)") == list(
        map(name, BUDGETS)
    )
    assert [plain(text) for text in columns.locator(".md").all_inner_texts()] == ["It is 42."] * 4
    assert columns.nth(0).locator(".none").is_visible() and not columns.nth(0).locator(".thought").is_visible()
    assert "cut at the budget of 4" in columns.nth(1).locator(".spent").inner_text()
    assert "ended by itself" in columns.nth(3).locator(".spent").inner_text()
    assert columns.locator(".share").all_inner_texts() == [
        "41% right on its test",
        "about 45% right on its test",
        "90% right on its test",
        "94% right on its test",
    ]
    assert page.locator(".chart circle").count() == 4


def test_a_choice_that_is_clicked_leaves_the_caret_so_that_enter_asks(visit, carded_url):
    page = visit(carded_url).page
    question = page.locator("#question")
    question.fill("What is 12 + 30?")
    page.locator("#recommended").click()
    page.locator("#compare").click()
    assert question.evaluate("box => box === document.activeElement")
    page.keyboard.press("Enter")
    all_whole(page, 4)


def test_answers_stream_beside_each_other_and_stop_together(visit, scripted, scripted_url):
    from live_server import wait_for

    page = visit(scripted_url).page
    page.locator("#compare").click()
    set_budgets(page, [512, None])
    send(page, "a slow one")
    for i in range(2):
        shows(page.locator(".column").nth(i).locator(".thought-text"), "Step 3")
    page.keyboard.press("Escape")
    columns = all_whole(page, 2)
    assert columns.locator(".problem").all_inner_texts()[0].startswith("Stopped.")
    assert wait_for(lambda: scripted.cancelled == 2)


def test_an_answer_can_be_compared_and_the_comparison_is_a_version_of_it(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    ask(page, "What is 12 + 30?")
    page.locator(".answer .compare").click()
    all_whole(page, 4)
    assert page.locator(".comparison .versions").inner_text() == "2/2"
    page.get_by_role("button", name="Previous version").click()
    assert page.locator(".log > .answer").count() == 1 and not page.locator(".column").count()
    page.get_by_role("button", name="Next version").click()
    assert page.locator(".column").count() == 4


def test_the_conversation_goes_on_from_the_answer_that_is_chosen(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    columns = compare(page, budgets=[0, None])
    assert columns.nth(1).locator(".from-here").get_attribute("aria-pressed") == "true"
    columns.nth(0).locator(".from-here").click()
    assert columns.nth(0).locator(".from-here").inner_text() == "Continues here"
    page.locator("#compare").click()
    ask(page, "and then?")
    messages = scripted.seen[-1][0]
    assert [m["role"] for m in messages] == ["user", "assistant", "user"]
    assert page.locator(".column").count() == 2 and page.locator(".log > .answer").count() == 1


def test_budgets_of_a_comparison_can_be_changed_added_and_removed(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    columns = compare(page, budgets=[0, 4])
    columns.nth(1).locator("input").fill("6")
    columns.nth(1).locator("input").press("Enter")
    all_whole(page, 2)
    assert scripted.seen[-1][1].thinking_budget == 6 and scripted.seen[-1][1].seed == scripted.seen[0][1].seed
    page.locator(".comparison").get_by_role("button", name="Add a budget").click()
    all_whole(page, 3)
    assert scripted.seen[-1][1].thinking_budget == 16
    columns.nth(0).hover()
    columns.nth(0).locator(".drop").click()
    assert columns.locator(".column-budget input").evaluate_all("all => all.map(e => e.value)") == ["6", "16"]


def test_a_budget_that_is_none_is_shown_and_not_sent(visit, scripted, scripted_url):
    from playwright.sync_api import expect

    page = visit(scripted_url).page
    page.locator("#compare").click()
    field = page.locator("#compare-budgets input").nth(1)
    field.fill("many")
    assert field.get_attribute("aria-invalid") == "true" and "whole number" in field.get_attribute("title")
    page.locator("#question").click()
    expect(field).to_have_value("16")


def test_a_comparison_is_kept_exported_and_read_again(visit, scripted_url, tmp_path):
    page = visit(scripted_url).page
    compare(page)
    shown = page.locator("#log").inner_text()
    from test_page_keeps import entry

    with page.expect_download() as download:
        entry(page, "Export as JSON")
    file = tmp_path / "chats.json"
    download.value.save_as(file)
    nodes = json.loads(file.read_text())["conversations"][0]["nodes"].values()
    assert len({node["group"] for node in nodes if node["role"] == "assistant"}) == 1
    page.reload()
    page.wait_for_selector(".column")
    assert page.locator("#log").inner_text() == shown
    entry(page, "Delete")
    page.locator("#import-file").set_input_files(file)
    page.wait_for_selector(".column")
    assert page.locator("#log").inner_text() == shown
    entry(page, "Copy as Markdown")
    page.locator("#toast").filter(has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").count("### Budget: ") == 4


def test_a_phone_stacks_them_and_everybody_can_read_them(visit, carded_url, axe):
    page = visit(carded_url, **PHONE).page
    compare(page)
    assert overflow(page) <= 0
    boxes = [column.bounding_box() for column in page.locator(".column").all()]
    assert all(below["y"] >= above["y"] + above["height"] for above, below in itertools.pairwise(boxes))
    assert not violations(page, axe)


def test_side_by_side_is_readable_by_all(visit, carded_url, axe):
    page = visit(carded_url, color_scheme="dark").page
    columns = compare(page)
    tops = {column.bounding_box()["y"] for column in columns.all()}
    assert len(tops) == 1
    assert not violations(page, axe)
