"""For everybody: keyboards, screen readers, phones, dark rooms, 中文 and scripts that run from right to left."""

import re

import pytest
from steps import BITS, PHONE, ask, overflow, set_budget, violations, whole


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(visit, scripted_url, axe, scheme, width):
    page = visit(scripted_url, color_scheme=scheme, viewport={"width": width, "height": 800}).page
    assert not violations(page, axe)
    set_budget(page, 12)
    ask(page, "How does merge sort work?")
    page.locator(".did").click()
    page.wait_for_selector(".math.ready")
    ask(page, "How is the weather?")
    page.locator(".again").last.click()
    whole(page)
    assert not violations(page, axe)
    page.locator("#tune").click()
    page.locator("#settings").wait_for()
    assert not violations(page, axe)
    page.keyboard.press("Escape")
    page.locator("#chat-menu").click()
    assert not violations(page, axe)
    page.keyboard.press("Escape")
    if width < 800:
        page.locator("#show-sidebar").click()
        assert not violations(page, axe)


def test_everything_works_without_a_mouse(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    focused = "document.activeElement.id || document.activeElement.className || document.activeElement.value"
    assert page.evaluate(focused) == "question"
    page.keyboard.type("hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("again")
    page.keyboard.press("Enter")
    whole(page)
    assert page.locator(".bubble").inner_text() == "hello\nagain"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "more"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "auto"
    page.keyboard.press("ArrowRight")
    assert page.locator("#modes input[value=think]").is_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#budget").get_attribute("aria-valuetext") != "unlimited"
    page.locator("body").press("Shift+Tab")
    page.keyboard.press("/")
    assert page.evaluate(focused) == "question" and not page.locator("#question").input_value()
    page.keyboard.press("Alt+m")
    assert page.locator("#modes input[value=direct]").is_checked()
    for _ in range(3):  # the examples, the model's name, and then the answer's buttons
        page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.closest('.answer') !== null")
    page.keyboard.press("?")
    page.locator("#keys").wait_for()
    assert page.locator("#keys").is_visible() and "Shift" in page.locator("#keys").inner_text()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('.answer') !== null")  # back where it was
    page.keyboard.press("Alt+k")
    assert page.evaluate(focused) == "search"
    page.keyboard.press("Control+Shift+O")
    assert page.evaluate(focused) == "question" and page.locator("#welcome").is_visible()
    page.keyboard.press("Control+k")
    assert page.evaluate(focused) == "search"
    page.keyboard.press("Alt+n")
    assert page.evaluate(focused) == "question" and page.locator("#welcome").is_visible()
    page.keyboard.press("Alt+s")
    page.locator("#settings").wait_for()


def test_a_screen_reader_is_told_what_happens(visit, nano_url):
    page = visit(nano_url).page
    status = page.locator("#status")
    assert status.get_attribute("aria-live") == "polite"
    answer = ask(page, BITS)
    said = status.inner_text()
    assert re.match(r"Thought ended after \d+ tokens, ended by itself\. Answer: ", said)
    assert said.endswith(answer.locator(".md").inner_text().strip())
    assert page.get_by_role("log", name="Conversation").is_visible()
    assert page.locator("html").get_attribute("lang") == "en"


def test_a_phone_shows_everything_without_scrolling_sideways(visit, scripted_url):
    page = visit(scripted_url, **PHONE).page
    assert overflow(page) <= 0
    for question in ("How does merge sort work?", "How is the weather?", "a wide one", "y" * 300):
        ask(page, question)
        assert overflow(page) <= 0, question
    page.locator(".did").first.click()
    assert overflow(page) <= 0
    page.locator("#show-sidebar").click()
    assert page.locator("#sidebar").bounding_box()["x"] == 0
    page.keyboard.press("Escape")
    assert page.locator("#sidebar").evaluate("e => e.inert")
    page.locator("#tune").click()
    page.locator("#settings").wait_for()
    assert overflow(page) <= 0
    box = page.locator("#settings").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_dark_and_light_follow_the_system_or_the_reader(visit, scripted_url):
    page = visit(scripted_url, color_scheme="dark").page
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.locator("#tune").click()
    page.locator("input[name=appearance][value=light]").check(force=True)
    light = page.evaluate(paper)
    assert light != dark
    page.reload()
    page.wait_for_selector(".welcome .chip")
    assert page.evaluate(paper) == light
    page.locator("#tune").click()
    page.locator("input[name=appearance][value=system]").check(force=True)
    assert page.evaluate(paper) == dark


def test_the_page_speaks_chinese(visit, scripted_url):
    page = visit(scripted_url, locale="zh-CN").page
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert page.locator("#new-chat").inner_text() == "新对话"
    answer = ask(page, "“三思而后行”出自哪里？")
    assert re.match(r"思考了 [\d.]+\s毫?秒", answer.locator(".thought-title").inner_text())
    assert answer.locator(".thought-end").inner_text() == "自然结束"
    page.locator("#tune").click()
    page.locator("input[name=language][value=en]").check(force=True)
    assert page.locator("#settings-title").inner_text() == "Settings"
    page.keyboard.press("Escape")
    assert page.locator("#new-chat").inner_text() == "New chat"
    page.reload()
    page.wait_for_selector(".answer")
    assert page.locator("html").get_attribute("lang") == "en"


def test_text_runs_in_its_own_direction(visit, scripted_url):
    page = visit(scripted_url).page
    answer = ask(page, "arabic مرحبا")
    directions = answer.locator(".md p").evaluate_all("all => all.map(e => getComputedStyle(e).direction)")
    assert directions == ["rtl", "ltr"]


def test_enter_that_ends_a_composition_sends_nothing(visit, scripted, scripted_url):
    """Chromium and Firefox say `isComposing`; Safari says it by the key code alone, after the composition's end."""
    page = visit(scripted_url).page
    box = page.locator("#question")
    box.fill("三思")
    for properties in ({"isComposing": True}, {"keyCode": 229}):
        box.dispatch_event("keydown", {"key": "Enter", "bubbles": True, "cancelable": True, **properties})
    assert box.input_value() == "三思" and not scripted.seen


def test_boxes_grow_with_their_text_in_browsers_without_field_sizing(visit, scripted_url):
    page = visit(scripted_url).page
    page.evaluate("CSS.supports = () => false")
    page.locator("#question").evaluate("box => box.style.setProperty('field-sizing', 'fixed', 'important')")
    one = page.locator("#question").bounding_box()["height"]
    page.locator("#question").fill("one\ntwo\nthree\nfour")
    assert page.locator("#question").bounding_box()["height"] > 2 * one
    page.keyboard.press("Enter")
    assert page.locator("#question").bounding_box()["height"] < 1.1 * one


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(visit, carded_url, axe, scheme, tmp_path):
    page = visit(carded_url, color_scheme=scheme).page
    ask(page, "hello")
    page.locator("#examples-again").click()
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").write_text(" ")
    page.locator("#attach-file").set_input_files([tmp_path / "a.txt", tmp_path / "b.txt"])
    page.locator("#attachments .refused").wait_for()
    page.locator("#question").fill("word " * 30_000)
    page.locator("#room-notice").wait_for()
    assert not violations(page, axe)
    page.locator("#question").fill("Explain it to me.")
    page.locator("#more").click()
    page.locator("#menu").get_by_role("button", name="Saved prompts").click()
    page.get_by_role("button", name="Save what is in the message box").click()
    assert not violations(page, axe)
    page.keyboard.press("Escape")
    page.locator("#model-about").click()
    page.locator("#about summary").click()
    assert not violations(page, axe)
    page.keyboard.press("Escape")
    page.locator("#tune").click()
    page.get_by_label("Temperature").fill("9")
    page.get_by_label("Your own tools").fill("[")
    assert not violations(page, axe)


def test_what_a_model_is_can_be_read(visit, carded_url):
    page = visit(carded_url).page
    page.locator("#model-about").click()
    about = page.locator("#about")
    about.locator("table").wait_for()
    assert "40,000 tokens" in about.inner_text() and about.locator("tr").count() == 6
    about.locator("summary").click()
    assert about.locator(".md strong").inner_text() == "no"
