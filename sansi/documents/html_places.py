"""Places on a page: the elements around a text, and which of them hold no part of what the page is about."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

# Names that designers give to what surrounds the main text. Matched against whole words of `class` and `id`.
_COMMENTS = "comments?|commentlist|comment-list|respond|disqus|disqus_thread|replies|guestbook|responses"
_AROUND = (
    "ads?|adverts?|advertisement|advertorial|sponsored|sponsor|promos?|promotion|banner|outbrain|taboola|teads|dfp|"
    "cookies?|consent|gdpr|privacy|share|shares|sharing|sharedaddy|sharethis|addthis|social|socials|"
    "related|recommend|recommended|recommendations|popular|trending|teasers?|upsell|crosssell|carousel|"
    "newsletters?|subscribe|subscription|signup|optin|mailchimp|paywall|donate|donation|"
    "sidebar|sidebars|sphinxsidebar|widget|widgets|rail|aside|breadcrumbs?|crumbs?|pagination|pager|paging|"
    "nav|navs|navi|navbar|navbox|navigation|navlinks|linklist|menu|menus|submenu|topbar|topnav|toolbar|masthead|headerbar|"
    "footer|footers|foot|colophon|copyright|disclaimer|imprint|"
    "byline|postmeta|dateline|timestamp|authorbox|bio|tags|tagcloud|catlinks|categories|"
    "login|signin|register|search|searchbox|searchform|skip|modal|popup|popover|overlay|lightbox|dropdown|tooltip|"
    "votes?|votecell|votecount|ratings?|postprofile|online|sitenotice|sitesub|toc|tableofcontents|"
    "editsection|headerlink|permalink|noprint|printfriendly|feedback|buybox|basket|cart|addtocart|"
    "jump|jumplinks|backtotop|totop|offscreen|flyout|hamburger|interstitial|toast"
)
_PAIRS = (  # of words that mean it only side by side
    "site header|page header|global header|top bar|top nav|most read|most viewed|most popular|read more|read next|"
    "read also|more stories|more articles|more from|up next|you may|also like|might like|also bought|latest news|"
    "recent posts|recent entries|sign up|sign in|log in|opt in|buy box|add to|back to|entry meta|post meta|"
    "article meta|meta data|entry footer|post buttons|post footer|action bar|stat block|author bio|author box|"
    "about author|author info|author profile|tag links|cat links|edit section|button bar|site info|site title|"
    "site description|mw head|mw panel|site branding|page tools|post navigation|skip link|skip to|screen reader"
)
_ROLE_NAMES = (
    "navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar tooltip tablist"
)
_ROLES = frozenset(_ROLE_NAMES.split())
_NOTES = re.compile(
    r"\b(?:note|notes|tip|warning|admonition|callout|info|important|example|caution|hint|danger|pull)\b"
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_IS_COMMENT = re.compile(rf"(?:^|\s)(?:{_COMMENTS})(?:\s|$)")
_IS_AROUND = re.compile(rf"(?:^|\s)(?:{_AROUND}|{_PAIRS})(?:\s|$)")
_IS_MAIN = re.compile(
    r"(?:^|\s)(?:(?:article|story|entry|post|page|main|mw|blog|news) (?:body|content|text)|"
    r"body content|articlebody|hentry)(?:\s|$)"
)
COMMENTS, AROUND, MAIN, NONE = "comments", "around", "main", ""


@dataclass(frozen=True, slots=True)
class Place:
    """An element that holds blocks. `parent`: the number of the place around it, -1 for none."""

    parent: int
    tag: str
    kind: str  # COMMENTS, AROUND, MAIN or NONE


def kind_of_place(tag: str, attributes: dict[str, str | None]) -> str:
    """What an element says of itself by its tag, role, classes and id."""
    if not attributes and "-" not in tag:
        return _BY_TAG.get(tag, NONE)
    if attributes.get("itemprop") == "articleBody":
        return MAIN
    get = attributes.get
    named = f"{get('class') or ''} {get('id') or ''}"[:_LONGEST]
    return _kind(tag, (get("role") or "").lower(), f"{tag} {named}" if "-" in tag else named)


_BY_TAG = {"main": MAIN, "article": MAIN, "footer": AROUND, "button": AROUND, "aside": AROUND}
_LONGEST = 500  # characters of classes


@functools.lru_cache(maxsize=8192)
def _kind(tag: str, role: str, named: str) -> str:
    if tag in ("body", "html"):
        return NONE
    if tag == "main" or role == "main":
        return MAIN
    # "siteNotice" is both "site notice" and "sitenotice".
    words = f"{' '.join(_WORDS.findall(named))} . {re.sub(r'[-_]', ' ', named)}".lower()
    if tag == "aside" and _NOTES.search(words):
        return NONE
    if role in _ROLES or _BY_TAG.get(tag) == AROUND:
        return AROUND
    if _IS_COMMENT.search(words):
        return COMMENTS
    if _IS_AROUND.search(words):
        return AROUND
    return MAIN if tag == "article" or _IS_MAIN.search(words) else NONE
