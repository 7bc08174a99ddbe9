"""What pages look like around their main text: the habits of twenty kinds of site."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pages.made import Around, Main

Frame = Callable[[Main, Around, str], str]
SCRIPT = "<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments);}gtag('js',new Date());</script>"
STYLE = "<style>body{font-family:sans-serif}.hidden{display:none}</style>"


def head(title: str, more: str = "") -> str:
    return f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>{more}{STYLE}{SCRIPT}</head>\n'


def news(main: Main, around: Around, title: str) -> str:
    menu = around.links(
        ["World", "Business Desk", "Opinion", "Culture Pages", "Travel Section", "Sign in to your account"]
    )
    latest = around.links(
        [
            "Rail strike called off after late talks",
            "Five things to watch in the cup final",
            "Why your heating bill fell this spring",
            "Minister denies knowing of the report",
        ]
    )
    return f"""{head(title)}<body class="article-page">
<header class="site-header"><div class="logo"><a href="/">{around("The Daily Lantern")}</a></div><nav><ul>{menu}</ul></nav></header>
<div class="cookie-banner" id="cookie-consent"><p>{around("We and our 213 partners store information on a device to show you personalised advertising. You can change your mind at any time.")}</p><button>{around("Accept all")}</button></div>
<div class="wrapper"><article class="story" itemscope>
<div class="share-tools"><a href="#">{around("Share on Facebook")}</a> <a href="#">{around("Copy this link")}</a></div>
<div class="story-body">{main.html}</div>
<div class="newsletter-signup"><h3>{around("Get the morning briefing")}</h3><p>{around("Sign up for our daily newsletter and never miss a story from our reporters.")}</p><form><input type="email"><button>{around("Subscribe now")}</button></form></div>
</article>
<aside class="sidebar"><h2>{around("Most read this week")}</h2><ol>{latest}</ol><div class="ad-slot">{around("Advertisement: mattresses at half price until Sunday")}</div></aside></div>
<section class="related"><h2>{around("More on this story")}</h2><ul>{around.links(["Council delays decision again", "Readers respond: your letters"])}</ul></section>
<footer><p>{around("© 2026 Lantern Media Group. All rights reserved.")}</p><ul>{around.links(["Terms of use", "Privacy notice", "Contact the newsroom"])}</ul></footer>
</body></html>"""


def blog(main: Main, around: Around, title: str) -> str:
    comments = "".join(
        f'<li class="comment" id="comment-{n}"><div class="comment-author vcard"><cite>{around(who)}</cite></div><div class="comment-content"><p>{around(said)}</p></div><a class="comment-reply-link" href="#">Reply</a></li>'
        for n, (who, said) in enumerate(COMMENTS)
    )
    return f"""{head(title)}<body class="post-template-default single single-post postid-1422">
<div id="page" class="site"><header id="masthead" class="site-header"><p class="site-title"><a href="/">{around("Notes from the back garden")}</a></p><p class="site-description">{around("A weblog about soil, seeds and slow afternoons")}</p>
<nav id="site-navigation" class="main-navigation"><ul>{around.links(["About the author", "Archive by month", "Recommended tools"])}</ul></nav></header>
<div id="content"><main id="main" class="site-main"><article class="post type-post hentry"><header class="entry-header"><div class="entry-meta">{around("Posted in Uncategorised on 12 May by admin")}</div></header>
<div class="entry-content">{main.html}<div class="sharedaddy sd-sharing-enabled"><h3>{around("Share this:")}</h3><ul>{around.links(["Click to share on Mastodon", "Click to email a link to a friend"])}</ul></div></div>
<footer class="entry-footer"><span class="tags-links">{around("Tagged compost, raised beds, worms")}</span></footer></article>
<nav class="post-navigation"><a rel="prev" href="#">{around("Previous: How to sharpen a spade")}</a><a rel="next" href="#">{around("Next: What the frost left standing")}</a></nav>
<div id="comments" class="comments-area"><h2 class="comments-title">{around("Three thoughts on this post")}</h2><ol class="comment-list">{comments}</ol>
<div id="respond"><h3>{around("Leave a reply")}</h3><p>{around("Your email address will not be published. Required fields are marked")}</p><form><textarea></textarea></form></div></div></main>
<aside id="secondary" class="widget-area"><section class="widget widget_recent_entries"><h2>{around("Recent posts")}</h2><ul>{around.links(["Moving house with forty pots", "The year of the slug"])}</ul></section></aside></div>
<footer id="colophon"><div class="site-info">{around("Proudly powered by a very old theme")}</div></footer></div></body></html>"""


COMMENTS = [
    ("Margaret H.", "Thank you for this, I tried it last weekend and my neighbours have already asked me what I did."),
    ("tomwatts88", "I disagree about the timing, in my part of the country you would lose everything to late frost."),
    ("Notes Admin", "Fair point Tom, I should have said that this is written for the milder south coast."),
]


def docs(main: Main, around: Around, title: str) -> str:
    return f"""{head(title)}<body><div class="related" role="navigation" aria-label="related navigation"><h3>{around("Site navigation")}</h3><ul><li class="right"><a href="genindex.html">{around("General index")}</a></li><li class="right"><a href="next.html">{around("Next chapter: deployment")}</a> |</li></ul></div>
<div class="document"><div class="documentwrapper"><div class="bodywrapper"><div class="body" role="main"><section id="guide">{main.html}</section></div></div></div>
<div class="sphinxsidebar" role="navigation" aria-label="Main"><div class="sphinxsidebarwrapper"><h3>{around("Table of contents")}</h3><ul>{around.links(["Installation notes", "Quick start", "Command reference", "Frequently asked questions"])}</ul><div id="searchbox"><h3>{around("Quick search")}</h3><form><input type="text"><input type="submit" value="Go"></form></div></div></div></div>
<div class="footer">{around("Copyright 2026, the Brindle developers. Created using a documentation generator 7.2.")}</div></body></html>"""


def material(main: Main, around: Around, title: str) -> str:
    return f"""{head(title)}<body dir="ltr"><header class="md-header" data-md-component="header"><nav class="md-header__inner"><a class="md-header__button md-logo" href="/">{around("Quarry documentation")}</a></nav></header>
<div class="md-container"><nav class="md-tabs"><ul>{around.links(["Getting started tab", "Reference tab"])}</ul></nav><main class="md-main"><div class="md-main__inner md-grid">
<div class="md-sidebar md-sidebar--primary"><nav class="md-nav"><ul>{around.links(["Concepts overview", "Migrating from version two", "Changelog of releases"])}</ul></nav></div>
<div class="md-sidebar md-sidebar--secondary"><nav class="md-nav"><label>{around("On this page")}</label><ul>{around.links(["Jump to examples"])}</ul></nav></div>
<div class="md-content"><article class="md-content__inner md-typeset"><a href="edit" class="md-content__button md-icon" title="Edit this page"></a>{main.html}</article></div></div></main>
<footer class="md-footer"><nav class="md-footer__inner"><a href="prev">{around("Previous: Installing the agent")}</a><a href="next">{around("Next: Securing the queue")}</a></nav><div class="md-copyright">{around("Made with a material theme")}</div></footer></div></body></html>"""


def forum(main: Main, around: Around, title: str) -> str:
    """All posts of a thread are its main text."""
    return f"""{head(title)}<body id="phpbb" class="nojs section-viewtopic"><div id="wrap"><div id="page-header" class="headerbar"><h1>{around("Old Engines Forum")}</h1><p>{around("Where nothing is beyond repair")}</p></div>
<div class="navbar"><ul class="linklist">{around.links(["Board index", "Workshop talk", "Register a new account"])}</ul></div>
<div id="page-body">{main.html}<div class="action-bar"><a href="reply" class="button">{around("Post a reply to this thread")}</a><div class="pagination">{around("2 posts • Page 1 of 1")}</div></div>
<div class="stat-block online-list"><h3>{around("Who is online")}</h3><p>{around("Users browsing this forum: no registered users and 3 guests")}</p></div></div>
<div id="page-footer"><div class="copyright">{around("Powered by ancient forum software")}</div></div></div></body></html>"""


def wiki(main: Main, around: Around, title: str) -> str:
    return f"""{head(title)}<body class="mediawiki ltr sitedir-ltr"><div id="mw-page-base"></div><div id="content" class="mw-body" role="main"><div id="siteNotice">{around("The annual photo contest is open until the end of the month")}</div>
<div id="bodyContent"><div id="siteSub">{around("From the Lakeland encyclopedia")}</div><div id="mw-content-text" class="mw-body-content"><div class="mw-parser-output">{main.html}
<div class="navbox" role="navigation"><table class="navbox-inner"><tr><th>{around("Lakes of the northern district")}</th></tr><tr><td>{around.links(["Lake Ennor", "Lake Tarsk", "Black Mere"], "span")}</td></tr></table></div></div></div>
<div id="catlinks" class="catlinks"><a href="/c">{around("Categories")}</a>: <ul>{around.links(["Glacial lakes", "Articles needing a map"])}</ul></div></div></div>
<div id="mw-navigation"><div id="mw-head">{around.links(["Talk about this page", "View the history"])}</div><div id="mw-panel"><ul>{around.links(["Random article", "Donate to the encyclopedia", "What links here"])}</ul></div></div>
<footer id="footer"><ul><li>{around("This page was last edited on 3 April 2026, at 09:14.")}</li></ul></footer></body></html>"""


def soup(main: Main, around: Around, title: str) -> str:
    """A framework's: nothing but <div>, and classes without meaning."""
    body = main.html
    for tag in ("p", "h1", "h2", "h3", "li", "ul", "ol"):
        kind = "span" if tag == "li" else "div"
        body = body.replace(f"<{tag}>", f'<div class="css-{hash_of(tag)}"><{kind}>').replace(
            f"</{tag}>", f"</{kind}></div>"
        )
    return f"""{head(title)}<body><div id="__next"><div class="css-1k2j3h"><div class="css-9ab"><a href="/">{around("Kestrel")}</a>{around.links(["Pricing plans", "Customer stories", "Book a demonstration"], "div")}</div>
<div class="css-77x"><div class="css-xk1"><div class="css-ppo">{body}</div></div></div>
<div class="css-zz9"><div class="css-a1">{around("Ready to see it in action?")}</div><div class="css-a2"><a href="/d">{around("Start your free trial today")}</a></div></div>
<div class="css-foot"><div>{around.links(["Imprint and legal", "Status page", "Careers at Kestrel"], "div")}</div><div>{around("Kestrel Software Ltd, 4 Harbour Row")}</div></div></div></div></body></html>"""


def hash_of(tag: str) -> str:
    return "".join(chr(97 + (ord(c) * 7 + 3) % 26) for c in tag * 3)


def tables(main: Main, around: Around, title: str) -> str:
    """The year 1998."""
    links = "<br>".join(
        f'<a href="{n}.htm"><font size=2>{around(text)}</font></a>'
        for n, text in enumerate(["Home page", "My guestbook", "Links to friends", "Webring: next site"])
    )
    return f"""<HTML><HEAD><TITLE>{title}</TITLE></HEAD><BODY BGCOLOR="#FFFFF0"><TABLE WIDTH="100%" BORDER=0 CELLPADDING=4><TR><TD COLSPAN=2 BGCOLOR=NAVY><FONT COLOR=WHITE SIZE=5><B>{around("Gerald's Corner of the Web")}</B></FONT></TD></TR>
<TR><TD WIDTH=140 VALIGN=TOP BGCOLOR=SILVER>{links}</TD><TD VALIGN=TOP>{main.html}</TD></TR>
<TR><TD COLSPAN=2 ALIGN=CENTER><FONT SIZE=1>{around("Best viewed at 800 by 600. You are visitor number 004217.")}</FONT></TD></TR></TABLE></BODY></HTML>"""


def recipe(main: Main, around: Around, title: str) -> str:
    cards = "".join(
        f'<div class="card"><a href="/{n}"><img src="{n}.jpg" alt=""><h3>{around(text)}</h3></a><p>{around(more)}</p></div>'
        for n, (text, more) in enumerate(
            [
                ("Ten-minute flatbreads", "Soft, quick and good with soup."),
                ("A proper winter slaw", "Crunchy, sharp and bright."),
            ]
        )
    )
    return f"""{head(title)}<body class="recipe-page"><header role="banner"><a href="/">{around("Copper Pan Kitchen")}</a><div class="search"><label>{around("Search all recipes")}</label><input></div></header>
<ul class="breadcrumbs"><li><a href="/">{around("All recipes")}</a></li><li><a href="/s">{around("Soups and stews")}</a></li></ul>
<div class="jump-links"><a href="#r">{around("Jump to recipe")}</a> <a href="#p">{around("Print this recipe")}</a></div>
<div class="post-content">{main.html}</div>
<div class="rating"><span>{around("4.7 from 128 votes")}</span></div><div class="you-may-like"><h2>{around("You may also like")}</h2>{cards}</div>
<div class="sticky-video">{around("Up next: three ways with leeks")}</div>
<div role="contentinfo">{around("Copper Pan Kitchen takes part in affiliate programmes.")}</div></body></html>"""


def shop(main: Main, around: Around, title: str) -> str:
    return f"""{head(title)}<body><div id="top-bar">{around("Free delivery on orders over 40 euros")}</div><div class="header"><a href="/cart">{around("Your basket (0)")}</a><div class="menu">{around.links(["Garden tools", "Lighting", "Clearance sale"], "div")}</div></div>
<div class="product-page"><div class="product-main">{main.html}</div><div class="buy-box"><span class="price">{around("79,90 € incl. VAT")}</span><button>{around("Add to basket")}</button></div>
<div class="recommendations carousel"><h3>{around("Customers also bought")}</h3><div>{around.links(["Folding saw 21 cm", "Sharpening stone", "Leather sheath"], "div")}</div></div></div>
<div class="footer-links">{around.links(["Returns and refunds", "Delivery times", "Gift vouchers"], "div")}</div></body></html>"""


def bare(main: Main, around: Around, title: str) -> str:
    return f"<html><head><title>{title}</title></head><body>{main.html}</body></html>"


def magazine(main: Main, around: Around, title: str) -> str:
    """A page whose main text is broken up by what belongs to others."""
    pieces = main.html.split("\n<p>")
    middle = len(pieces) // 2
    inserted = f'</p>\n<div class="inline-promo"><a href="/x">{around("Read also: the quiet return of the night train")}</a></div><figure><img src="a.jpg"><figcaption class="credit">{around("Photograph: agency pool")}</figcaption></figure><div class="teads-inread" aria-hidden="true">{around("Skip this advertisement")}</div>\n<p>'
    body = (
        "\n<p>".join(pieces[:middle]) + inserted.replace("</p>", "", 1) + "\n<p>".join(pieces[middle:])
        if middle
        else main.html
    )
    return f"""{head(title)}<body><div class="topnav">{around.links(["Issues and archive", "Podcasts", "Gift a subscription"], "span")}</div><div class="layout"><div class="content-column"><div class="article-text">{body}</div>
<div class="author-bio"><h4>{around("About our contributor")}</h4><p>{around("Lena Moritz writes about cities and the people who leave them.")}</p></div></div>
<div class="right-rail"><div class="trending"><h4>{around("Trending now")}</h4>{around.links(["The town that sold its river", "An oral history of the lift"], "p")}</div></div></div>
<div id="paywall-modal" style="display:none">{around("You have read your last free article this month.")}</div><div class="bottom">{around("Published by Meridian Review, ISSN 0000-0000")}</div></body></html>"""


def amp(main: Main, around: Around, title: str) -> str:
    return f"""<!doctype html><html amp lang="en"><head><meta charset="utf-8"><title>{title}</title><style amp-custom>.x{{}}</style></head><body><header class="headerbar"><button on="tap:sidebar.toggle">☰</button>{around("Valley Gazette mobile")}</header>
<amp-sidebar id="sidebar" layout="nodisplay"><ul>{around.links(["Local weather", "Obituaries", "Classified advertisements"])}</ul></amp-sidebar>
<article><div class="body">{main.html}</div><amp-ad width=300 height=250 type="x"><div>{around("Sponsored: hearing aids reviewed")}</div></amp-ad></article>
<amp-consent><div>{around("Manage your privacy choices on this site")}</div></amp-consent><footer>{around("Tell us a story: newsdesk at the valley gazette")}</footer></body></html>"""


def localised(words: Sequence[str], direction: str = "ltr", language: str = "") -> Frame:
    """A usual page with the words of its language: menu (3), sidebar title, two links, cookies, share, footer."""

    def frame(main: Main, around: Around, title: str) -> str:
        menu, side, more, cookies, share, foot = words[:3], words[3], words[4:6], words[6], words[7], words[8]
        return f"""<!DOCTYPE html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8"><title>{title}</title>{SCRIPT}</head><body>
<div class="header"><ul class="menu">{around.links(menu)}</ul></div><div class="cookie-notice">{around(cookies)}</div>
<div class="container"><div class="content"><div class="entry">{main.html}</div><div class="share-buttons"><a href="#">{around(share)}</a></div></div>
<div class="sidebar"><h3>{around(side)}</h3><ul>{around.links(more)}</ul></div></div><div class="footer">{around(foot)}</div></body></html>"""

    return frame


def localised_charset(words: Sequence[str], charset: str, language: str) -> Frame:
    """The same, with the page's own word on its charset."""
    frame = localised(words, language=language)

    def with_charset(main: Main, around: Around, title: str) -> str:
        declared = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">' if charset else ""
        return frame(main, around, title).replace('<meta charset="utf-8">', declared).replace("©", "(c)")

    return with_charset
