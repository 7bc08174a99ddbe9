"""Whatever a model writes stays text: no script, no request, no element of the page replaced."""

from steps import ask

LOOSE = (
    "script, iframe, img, form, style, object, embed, svg, [onerror], [onload], [onclick], [onmouseover], [id], [style]"
)


def test_hostile_markdown_stays_inert(visit, scripted_url):
    page = visit(scripted_url).page
    answer = ask(page, "hostile")
    page.wait_for_selector(".math.ready")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    body = answer.locator(".md")
    # KaTeX sets lengths by CSSOM and draws with its own svg; nothing else may have these.
    found = body.evaluate(
        "(e, s) => [...e.querySelectorAll(s)].filter(x => !x.closest('.katex, button')).map(x => x.outerHTML)", LOOSE
    )
    assert not found
    hrefs = body.evaluate("e => [...e.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert hrefs and all(href.startswith(("https://", "http://")) for href in hrefs)
    assert body.evaluate(
        "e => [...e.querySelectorAll('a')].every(a => a.rel.includes('noopener') && a.target === '_blank')"
    )
    assert not body.evaluate("e => [...e.querySelectorAll('.katex a, .katex img, .katex [id]')].length")
    assert "<script>window.hacked = 1</script>" in body.inner_text()
    assert "<script>window.hacked=21" in answer.locator(".thought-text").inner_text()
    assert page.locator("#send").evaluate_all("all => all.length") == 1


def test_the_policy_forbids_what_the_sanitiser_should_let_through(visit, scripted_url):
    watched = visit(scripted_url)
    page = watched.page
    watched.expect("Content Security Policy")
    watched.expect("violates the following")
    page.evaluate(
        """() => {
          const tries = [['script', 'textContent', 'window.hacked = 1'], ['img', 'src', 'https://evil.example/x']];
          for (const [tag, name, value] of tries) {
            const element = document.createElement(tag);
            element[name] = value;
            document.body.append(element);
          }
          const division = document.createElement('div');
          division.setAttribute('onclick', 'window.hacked = 2');
          document.body.append(division);
          division.click();
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    watched.problems = [
        each for each in watched.problems if "evil.example/x" not in each
    ]  # tried, and stopped by the policy


def test_a_question_is_text(visit, scripted_url):
    page = visit(scripted_url).page
    ask(page, "<img src=x onerror='window.hacked=1'> **not bold**")
    assert page.locator(".bubble").inner_text() == "<img src=x onerror='window.hacked=1'> **not bold**"
    assert page.evaluate("window.hacked") is None and "<img" in page.locator(".item-name").inner_text()
