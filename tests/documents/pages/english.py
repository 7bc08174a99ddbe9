"""Pages in English: news, weblogs, documentation, forums, encyclopedias, recipes, shops, old and new."""

from __future__ import annotations

from pages import frames
from pages.made import Around, MadePage, Main, page, shown

BRIDGE = (
    "The old swing bridge across the Arden will close for eighteen months from the first week of March, the county council has decided, after engineers found cracks in two of the four bearings that carry its weight.",
    "Councillors voted eleven to four in favour of the closure on Tuesday evening. The repair is expected to cost <strong>£6.2 million</strong>, of which about half will come from a national fund for historic structures.",
    "“Nobody wanted this,” said Ruth Okafor, who chairs the transport committee. “But the bearings were made in 1911, and <a href='/report'>the engineers’ report</a> leaves us no room. If one of them fails with a lorry on the deck, the whole span goes into the river.”",
    "About 9,000 vehicles cross the bridge on a working day. They will have to take the ring road, which adds up to twenty minutes at rush hour; a ferry for cyclists and people on foot is to start on the same day.",
    "Traders in the old harbour say they were not consulted. Malik Brennan, whose family has sold fish on the quay since 1962, expects to lose a third of his customers. “They close the road for a year and a half, and they call it a <em>temporary inconvenience</em>,” he said.",
    "The council has promised to reopen one lane by the summer of next year if the weather allows. Work cannot start before the swans that nest under the north pier have left, which is usually in the last days of February.",
)
COMPOST = (
    "I have killed more worms than I care to remember, and every one of them died because I was in a hurry.",
    "A heap that is built in a day, from one kind of thing, goes cold or goes sour. What it wants is layers: something brown and dry, something green and wet, and a spadeful of last year's compost to remind it what it is meant to become.",
    "Start with twigs at the bottom so that air can come in. Then a hand's breadth of dead leaves, then kitchen scraps, then leaves again. If it smells of ammonia you have been too generous with the grass; if it does nothing at all it is too dry.",
    "Turn it when the middle has gone cool, not by the calendar. In my garden that is about every five weeks from April to September, and not at all in winter, when the hedgehogs would never forgive me.",
    "By the second spring you should be able to push your arm in to the elbow and smell a wood after rain.",
)
LAKE = (
    "<b>Lake Ennor</b> is a glacial lake in the northern district of Lakeland, 14.2 km long and up to 97 m deep.<sup class='reference'><a href='#n1'>[1]</a></sup> It is drained by the River Tarn, which leaves it at its southern end over a sill of hard slate.",
    "The basin was cut by ice during the last glaciation, between 26,000 and 14,000 years ago. Sediment cores show that the lake was dammed by a moraine until about 9,300 years ago, when the barrier was breached within a few days; the flood left boulders of up to 40 t in the valley below.",
    "Its water is poor in nutrients and unusually clear, with a mean transparency of 11 m. Arctic char (<i>Salvelinus alpinus</i>) live below 30 m and are thought to have been isolated since the ice retreated.",
)


def news_bridge() -> MadePage:
    main = (
        Main().h(1, "Swing bridge to close for eighteen months").p(*BRIDGE[:3]).h(2, "A long way round").p(*BRIDGE[3:])
    )
    around = Around()
    return page("news", frames.news(main, around, "Swing bridge to close"), main, around)


def news_list() -> MadePage:
    main = (
        Main()
        .h(1, "What we know about the power cut")
        .p(
            "Some 40,000 households in the east of the county were without electricity for most of Sunday. This is what is known so far."
        )
    )
    main.items(
        "The fault began at 5.40 in the morning in a substation at Fennick, where a cable that was laid in 1974 had melted.",
        "Two hospitals ran on their own generators; nobody was hurt.",
        "The operator, GridEast, says that supply was back everywhere by 9 p.m.",
        "Households that were cut off for more than twelve hours may claim £75, but only in writing and within three months.",
    )
    main.p(
        "An inquiry will look into why the second line, which is meant to take over within seconds, did not do so. Its first findings are expected before Easter."
    )
    around = Around()
    return page("news with a list", frames.news(main, around, "Power cut"), main, around)


def blog_compost() -> MadePage:
    main = Main().h(1, "A heap is not a bin", ' class="entry-title"').p(*COMPOST)
    around = Around()
    return page("blog with comments", frames.blog(main, around, "A heap is not a bin"), main, around)


def blog_inline() -> MadePage:
    """Text after the first inline tag, paragraphs that are none, quotations."""
    main = Main().h(1, "Three sentences that changed how I read", ' class="entry-title"')
    main.p(
        "My grandmother kept a notebook. <em>Never finish a bad book</em>, it says on the first page, and below it, in another ink, <strong>never lend a good one</strong> to anybody who folds the corners of pages."
    )
    main.raw(
        "<div>She read at the kitchen table with a pencil in her hand, and the margins of her Trollope are full of <i>nonsense!</i> and <i>quite so</i>.<br><br>I have not kept the habit of writing in books, but I have kept the books.</div>",
        "She read at the kitchen table with a pencil in her hand, and the margins of her Trollope are full of nonsense! and quite so.",
        "I have not kept the habit of writing in books, but I have kept the books.",
    )
    main.raw(
        "<blockquote><p>A reader lives a thousand lives, and most of them are in trains.</p></blockquote>",
        "A reader lives a thousand lives, and most of them are in trains.",
    )
    main.p(
        "That is the third sentence, and I have never found out where she had it from. It stands on the last page, <u>underlined twice</u>, with the date of the day on which she sold the house."
    )
    around = Around()
    return page("blog with inline tags", frames.blog(main, around, "Three sentences"), main, around)


def docs_sphinx() -> MadePage:
    main = Main().h(1, "Reading configuration files<a class='headerlink' href='#x' title='Link to this heading'></a>")
    main.p(
        "Brindle reads its settings from a file named <code class='docutils literal'><span class='pre'>brindle.toml</span></code> in the folder in which it is started. Each key may also be given on the command line, and what is given there goes before what stands in the file."
    )
    main.raw(
        "<div class='highlight-python notranslate'><div class='highlight'><pre><span></span><span class='kn'>import</span> <span class='nn'>brindle</span>\n\n<span class='k'>with</span> <span class='n'>brindle</span><span class='o'>.</span><span class='n'>open</span><span class='p'>(</span><span class='s2'>&quot;brindle.toml&quot;</span><span class='p'>)</span> <span class='k'>as</span> <span class='n'>settings</span><span class='p'>:</span>\n    <span class='k'>for</span> <span class='n'>name</span> <span class='ow'>in</span> <span class='n'>settings</span><span class='p'>:</span>\n        <span class='nb'>print</span><span class='p'>(</span><span class='n'>name</span><span class='p'>)</span>\n</pre></div></div>"
    )
    main.code_blocks.append(
        'import brindle\n\nwith brindle.open("brindle.toml") as settings:\n    for name in settings:\n        print(name)'
    )
    main.p("The order in which files are looked for is fixed and does not depend on the system:")
    main.items(
        "the file that is named by <code>--config</code>;",
        "the file in the working folder;",
        "the file in the home folder of the user.",
        tag="ol",
    )
    main.h(2, "Types of values")
    main.p(
        "A value that has the wrong type is refused with the name of its key. Nothing is converted silently, with one exception: a whole number is taken where a number with a point is wanted."
    )
    main.table(
        ["Key", "Type", "Default", "Meaning"],
        ["workers", "integer", "4", "processes that are started at once"],
        ["timeout", "float", "30.0", "seconds before a request is given up"],
        ["retries", "integer", "2", "further attempts after a failure"],
        attributes=" class='docutils align-default'",
    )
    main.raw(
        "<div class='admonition warning'><p class='admonition-title'>Warning</p><p>Secrets do not belong in this file, since it is often kept in a repository.</p></div>",
        "Secrets do not belong in this file, since it is often kept in a repository.",
    )
    around = Around()
    return page("docs with code and a table", frames.docs(main, around, "Reading configuration files"), main, around)


def docs_material() -> MadePage:
    main = Main().h(1, "Running several workers")
    main.p(
        "One worker handles one job at a time. To use all cores of a machine, start a pool: the pool takes care of restarts and of jobs whose worker died."
    )
    main.code(
        "pool:\n  size: 8\n  restart:\n    after: 1000   # jobs\n    grace: 5s\n  queues:\n    - name: fast\n      weight: 3\n    - name: slow\n      weight: 1",
        "yaml",
    )
    main.p("Start it with the command below. It stays in the foreground and writes one line of JSON for each job.")
    main.code(
        "quarry pool start \\\n    --config quarry.yaml \\\n    --verbose",
        "bash",
        '<div class="language-{0} highlight"><pre><span></span><code>{1}</code></pre></div>',
    )
    main.h(2, "When a worker dies")
    main.p(
        "A job whose worker died is given to another one, at most three times. After that it is moved to the queue <code>dead</code>, where it stays until somebody looks at it."
    )
    main.code('def on_death(job):\n\tif job.attempts > 3:\n\t\treturn "dead"\n\treturn job.queue', "python")
    around = Around()
    return page("docs with yaml, bash and tabs", frames.material(main, around, "Running several workers"), main, around)


def api_reference() -> MadePage:
    main = Main().h(1, "Function parse_duration")
    main.code(
        "fn parse_duration(text: &str) -> Result<Duration, ParseError>",
        "rust",
        '<pre class="rust item-decl"><code>{1}</code></pre>',
    )
    main.p(
        "Parses a duration such as <code>1h30m</code> or <code>250ms</code>. White space between the parts is allowed, signs are not."
    )
    main.h(2, "Errors")
    main.p(
        "Returns <code>ParseError::Empty</code> for a text without any part, and <code>ParseError::Unit</code> for a unit that is not known."
    )
    main.h(2, "Examples")
    main.code(
        'let d = parse_duration("1h 30m")?;\nassert_eq!(d.as_secs(), 5_400);\n\nmatch parse_duration("5x") {\n    Err(ParseError::Unit(unit)) => {\n        assert_eq!(unit, "x");\n    }\n    _ => unreachable!(),\n}',
        "rust",
        '<div class="example-wrap"><pre class="rust rust-example-rendered"><code>{1}</code></pre></div>',
    )
    around = Around()
    return page("api reference", frames.docs(main, around, "parse_duration"), main, around)


def tutorial_dirty_code() -> MadePage:
    """Listings in the ways of weblogs: lines as elements, numbers beside them, <br> for line ends."""
    main = Main().h(1, "A tiny state machine in forty lines", ' class="entry-title"')
    main.p(
        "People reach for a library when all they need is a dictionary. Here is the whole machine that runs the traffic light at the end of our road."
    )
    main.raw(
        '<pre class="prettyprint">TRANSITIONS = {<br>    "red": "green",<br>    "green": "amber",<br>    "amber": "red",<br>}</pre>'
    )
    main.code_blocks.append('TRANSITIONS = {\n    "red": "green",\n    "green": "amber",\n    "amber": "red",\n}')
    main.p(
        "Each state knows its successor and nothing else. The loop that drives it is shorter still, and it has no idea what a traffic light is:"
    )
    lines = [
        "def run(state, ticks):",
        "    for _ in range(ticks):",
        "        yield state",
        "        state = TRANSITIONS[state]",
    ]
    main.raw(
        '<pre class="code"><code>' + "".join(f'<span class="line">{line}</span>\n' for line in lines) + "</code></pre>"
    )
    main.code_blocks.append("\n".join(lines))
    main.p(
        "If you want pedestrians, add a state. If you want sensors, you want the library after all, and I will not stand in your way."
    )
    around = Around()
    return page("blog with listings", frames.blog(main, around, "A tiny state machine"), main, around)


def forum_thread() -> MadePage:
    posts = (
        (
            "oilyrag",
            "My 1936 stationary engine starts well from cold but dies after ten minutes and will not start again until the next day. I have cleaned the carburettor twice and changed the plug. Fuel is fresh. Any ideas?",
        ),
        (
            "Mrs Beam",
            "That sounds like the condenser breaking down when it is hot. Pull the lead the moment it dies and look at the spark: if it is yellow and thin, that is your answer. A new one costs less than the petrol you have burnt looking for the fault.",
        ),
        (
            "oilyrag",
            "Yellow and thin it was. I fitted one from an old tractor and it has now run for an hour. Thank you, I would never have looked there.",
        ),
    )
    main = Main().h(2, "Engine dies when hot and will not restart", ' class="topic-title"')
    for number, (who, said) in enumerate(posts):
        main.raw(
            f'<div id="p{number}" class="post bg{number % 2 + 1}"><div class="inner"><dl class="postprofile"><dt><a href="/u">{who}</a></dt><dd>Joined: 2011</dd></dl><div class="postbody"><div class="content">{said}</div></div><ul class="post-buttons"><li><a href="#">Quote</a></li></ul></div></div>',
            said,
        )
    around = Around()
    return page("forum", frames.forum(main, around, "Engine dies when hot"), main, around)


def question_and_answers() -> MadePage:
    main = Main()
    main.raw(
        '<div id="question-header"><h1><a href="/q">How do I remove duplicate lines but keep the order?</a></h1></div><div class="question"><div class="post-layout"><div class="votecell"><button>Up vote</button><div class="js-vote-count">42</div></div><div class="postcell"><div class="s-prose js-post-body">',
        "How do I remove duplicate lines but keep the order?",
    )
    main.p(
        "I have a file of two million lines, some of which occur several times. <code>sort -u</code> removes the copies, but then the lines are sorted, and I need them in the order in which they first occur."
    )
    main.raw(
        "</div></div></div></div><div id='answers'><h2>2 Answers</h2><div class='answer accepted-answer'><div class='s-prose js-post-body'>"
    )
    main.p("Let awk count how often it has seen a line, and print it the first time only:")
    main.code(
        "awk '!seen[$0]++' input.txt > output.txt", "bash", '<pre class="lang-bash s-code-block"><code>{1}</code></pre>'
    )
    main.p(
        "It keeps every distinct line in memory, which for two million short lines is no problem on any machine of the last twenty years."
    )
    main.raw("</div></div><div class='answer'><div class='s-prose js-post-body'>")
    main.p(
        "If they do not fit into memory, number the lines, sort by content, drop the copies and sort by number again:"
    )
    main.code(
        "cat -n input.txt |\n  sort -k2 -u |\n  sort -n |\n  cut -f2-",
        "bash",
        '<pre class="lang-bash s-code-block"><code>{1}</code></pre>',
    )
    main.raw("</div></div></div>")
    around = Around()
    source = f"""{frames.head("duplicate lines")}<body><header class="s-topbar"><a href="/">{around("Ask the Machine")}</a><form><input placeholder="Search"></form></header><div class="container"><div id="left-sidebar"><nav><ol>{around.links(["Newest questions", "All tags", "Unanswered"])}</ol></nav></div>
<div id="content"><div id="mainbar" role="main">{main.html}</div><div id="sidebar"><div class="s-sidebarwidget"><h4>{around("Hot network questions")}</h4><ul>{around.links(["Is a hot dog a sandwich in type theory?", "Why do cats push cups?"])}</ul></div></div></div></div><footer>{around("Site design and logo belong to the machine")}</footer></body></html>"""
    return page("question and answers", source, main, around)


def wiki_lake() -> MadePage:
    main = Main().raw(
        "<table class='infobox'><tbody><tr><th colspan='2'>Lake Ennor</th></tr><tr><th>Area</th><td>23.4 km<sup>2</sup></td></tr><tr><th>Max. depth</th><td>97 m</td></tr></tbody></table>"
    )
    main.p(*LAKE[:1]).raw(
        "<div id='toc' class='toc' role='navigation'><h2>Contents</h2><ul><li><a href='#1'>1 Geology</a></li><li><a href='#2'>2 Settlements</a></li></ul></div>"
    )
    main.keep[0] = shown(LAKE[0]).replace("[1]", "").split(". It is")[0]
    main.h(2, "<span class='mw-headline' id='1'>Geology</span>").p(*LAKE[1:])
    main.h(2, "<span class='mw-headline' id='2'>Settlements</span>")
    main.table(
        ["Village", "Inhabitants (2021)", "First mentioned"],
        ["Upper Ennor", "1,204", "1173"],
        ["Sallow Bridge", "388", "1290"],
        ["Tarnhead", "2,951", "1086"],
        attributes=" class='wikitable sortable'",
    )
    main.p(
        "Until the road of 1926 the villages on the western shore could only be reached by boat, and in hard winters over the ice."
    )
    around = Around()
    return page("encyclopedia with a table", frames.wiki(main, around, "Lake Ennor"), main, around)


def wiki_formulas() -> MadePage:
    main = Main().h(1, "Harmonic oscillator")
    main.p(
        "A mass <i>m</i> on a spring of stiffness <i>k</i> moves so that its acceleration is proportional to its displacement and points the other way. Its equation of motion is"
    )
    main.raw(
        "<p><math xmlns='http://www.w3.org/1998/Math/MathML' alttext='m\\ddot{x} = -kx'><semantics><mrow><mi>m</mi><mover><mi>x</mi><mo>¨</mo></mover><mo>=</mo><mo>−</mo><mi>k</mi><mi>x</mi></mrow><annotation encoding='application/x-tex'>m\\ddot{x} = -kx</annotation></semantics></math></p>",
        "m\\ddot{x} = -kx",
    )
    main.p(
        "The period does not depend on the amplitude, which is why clocks could be built on it. For water (H<sub>2</sub>O) in a tube of 0.5 m the same law holds, with an error below 10<sup>−3</sup> as long as friction is small."
    )
    main.keep[-1] = "The period does not depend on the amplitude, which is why clocks could be built on it."
    main.keep.append("H₂O")
    main.keep.append("10^−3")
    main.p(
        "The energy is \\(E = \\tfrac{1}{2} k A^2\\), and it moves from the spring to the mass and back twice in each period."
    )
    around = Around()
    return page("formulas", frames.wiki(main, around, "Harmonic oscillator"), main, around)


def recipe_soup() -> MadePage:
    main = Main().h(1, "Leek and barley soup")
    main.p(
        "This is the soup that my aunt made on washing days, when nobody had time to stand at the stove. It wants an hour on a low flame and hardly any attention, and it is better on the second day."
    )
    main.raw("<div class='wprm-recipe'><h2>Ingredients</h2>", "Ingredients").items(
        "3 leeks, the white and pale green parts only",
        "120 g pearl barley, rinsed",
        "1½ litres of vegetable stock",
        "2 tablespoons of butter",
        "a bay leaf, salt and white pepper",
        attributes=" class='ingredients'",
    )
    main.raw("<h2>Method</h2>", "Method").items(
        "Slice the leeks and wash them twice, as there is always more sand than you think.",
        "Soften them in the butter for ten minutes with the lid on. They must not brown.",
        "Add the barley, stir until it shines, then pour in the stock and drop in the bay leaf.",
        "Simmer for fifty minutes. Season at the very end.",
        tag="ol",
    ).raw("</div>")
    main.p("Leftovers thicken overnight; loosen them with a ladle of hot water.")
    around = Around()
    return page("recipe", frames.recipe(main, around, "Leek and barley soup"), main, around)


def product() -> MadePage:
    main = Main().h(1, "Pruning saw with curved blade, 33 cm")
    main.p(
        "The curved blade pulls itself into the wood, so that you cut on the pull and rest on the push. It goes through a branch of ten centimetres in under a minute and leaves a face that needs no further care."
    )
    main.table(
        ["Property", "Value"],
        ["Blade length", "33 cm"],
        ["Teeth", "impulse-hardened, 7 per inch"],
        ["Weight", "310 g"],
        ["Handle", "ash wood, oiled"],
        attributes=" class='specs'",
    )
    main.p(
        "Do not sharpen the blade: hardened teeth cannot be filed. Spare blades are kept in stock for at least ten years after a model is taken off the list."
    )
    around = Around()
    return page("product", frames.shop(main, around, "Pruning saw"), main, around)


def landing_soup() -> MadePage:
    main = Main().h(1, "Your night shift, without the phone calls")
    main.p(
        "Kestrel watches the machines in your hall and tells the one person who can help, instead of waking everybody. It learns from what was done last time, and it never sends the same message twice."
    )
    main.h(2, "How it works")
    main.p(
        "A small box reads what your controllers already measure. When a value leaves the range in which it has been for the last month, Kestrel looks up who mended this machine before and whether that person is on duty tonight."
    )
    main.p(
        "If nobody answers within four minutes it asks the next one. In the morning you find a page with everything that happened, in the order in which it happened."
    )
    around = Around()
    return page("nothing but div", frames.soup(main, around, "Kestrel"), main, around)


def geralds_page() -> MadePage:
    main = Main()
    texts = (
        "I began to collect slide rules in 1974, when everybody else was throwing them away. The first one came out of a skip behind the technical college, and it still works.",
        "A slide rule does not add. It lays one length against another, and because its scales are logarithmic, the sum of the lengths is the product of the numbers. That is the whole secret, and it held up bridges for three hundred years.",
        "The best ones were made of boxwood with celluloid faces. They do not like the sun, and they hate radiators. Keep them in a drawer with a bit of camphor.",
    )
    main.raw(
        f"<CENTER><H1>My slide rules</H1></CENTER><FONT FACE=Arial SIZE=3>{texts[0]}<P>{texts[1]}<P>{texts[2]}</FONT>",
        "My slide rules",
        *texts,
    )
    around = Around()
    return page("year 1998", frames.tables(main, around, "My slide rules"), main, around, "cp1252", declared=False)


def plain_story() -> MadePage:
    main = Main()
    story = (
        "There was once a miller who owned three mills and could not sleep. When the wind blew he lay awake because he heard the sails, and when it did not blow he lay awake because he did not hear them.",
        "So he sold the first mill to his brother, and slept a third of the night. He sold the second to a stranger and slept until two.",
        "In the end he sold the third as well, and moved to a house in the town, where a coach went by at every hour; and there he slept like a child, for none of the coaches was his.",
    )
    main.raw(
        "<center><b>The miller who could not sleep</b></center><br><br>" + "<br><br>".join(story),
        "The miller who could not sleep",
        *story,
    )
    around = Around()
    return page("a story without structure", frames.bare(main, around, "The miller"), main, around)


def magazine_essay() -> MadePage:
    main = Main().h(1, "What the tide leaves on the steps")
    main.p(
        "Twice a day the river comes up into the city, and twice a day it goes away again and leaves things on the steps. Most of them are bottles. Some are not.",
        "For eleven years Hana Vrba has gone down to the same stair at low water, with a bucket and a pair of fisherman's boots that were her father's. She keeps a list. By last Sunday it had 4,816 entries, of which she regards nine as important.",
        "“You learn to look without wanting anything,” she says. “The moment you look for a ring, you see only rings that are not there.” The nine are in a shoe box, wrapped in newspaper, and she shows them to visitors in the order in which they came.",
        "The museum has asked for the box. She has offered them the list instead, and the negotiations, which began in the spring of 2019, are said to be going well.",
    )
    around = Around()
    return page("magazine", frames.magazine(main, around, "What the tide leaves"), main, around)


def amp_news() -> MadePage:
    main = Main().h(1, "Valley school wins a national prize for its orchard")
    main.p(
        "Pupils of the primary school at Nether Wend have won the national prize for school gardens with an orchard of forty old varieties of apple, several of which were thought to be lost.",
        "The children collected cuttings from farms all over the valley, and learnt to graft them from a retired orchardman, Silas Crewe, who is 91. “They have steadier hands than I had at that age,” he said.",
        "The prize is worth £5,000. The school council has voted to spend it on a cider press and, by a narrow majority, on a goat.",
    )
    around = Around()
    return page("mobile news", frames.amp(main, around, "Valley school wins"), main, around)


def listing() -> MadePage:
    """A page that is a list: its links are its text."""
    entries = [
        (
            "Community orchards: a handbook",
            "How to find land, whom to ask and what to plant first, with a calendar for the first three years.",
        ),
        (
            "Grafting for beginners",
            "Whip and tongue, cleft and bud, each with drawings that can be followed with cold fingers.",
        ),
        ("Pests without poison", "What eats what, and how to make the right guests feel at home."),
        (
            "The law of overhanging branches",
            "Who owns the fruit, who pays for the ladder, and what the courts have said since 1894.",
        ),
    ]
    main = (
        Main()
        .h(1, "Leaflets that you can order")
        .p("All leaflets are free. Write to the office, or take them from the rack in the hall on any Thursday.")
    )
    for title, more in entries:
        main.raw(f'<div class="item"><h3><a href="/x">{title}</a></h3><p>{more}</p></div>', title, more)
    around = Around()
    return page("a list of things", frames.docs(main, around, "Leaflets"), main, around)


def legal_terms() -> MadePage:
    main = Main().h(1, "Terms of the lending library")
    for number, text in enumerate(
        (
            "The library lends to everybody who lives in the parish or has a desk in it. A card is given on sight of a letter with a name and an address, and costs nothing.",
            "Up to twelve things may be out on a card at a time, of which not more than two may be power tools. The period is three weeks and is prolonged once, unless somebody is waiting.",
            "Whoever brings back a thing broken says so. What was broken in honest use is mended at the cost of the library; what was lost is paid for at the price of a used one.",
            "A card may be withdrawn by the committee after two written reminders. Against this an appeal is heard at the next general meeting.",
        ),
        1,
    ):
        main.raw(f"<p><b>§ {number}.</b> {text}</p>", text)
    around = Around()
    return page("terms", frames.shop(main, around, "Terms"), main, around)


def interview() -> MadePage:
    main = Main().h(1, "“I count them with my ears”")
    for question, answer in (
        (
            "How does one count bats?",
            "With patience. You sit where they come out, at dusk, and you press a button for each one. Below forty it is easy. Above four hundred you start to dream of it.",
        ),
        (
            "And nobody does this by machine?",
            "Machines hear species, and they are very good at it. But a machine hears the same bat nine times. I hear that it is the same bat, because it is annoyed.",
        ),
        (
            "What has changed in thirty years?",
            "There are fewer of them, and they come out earlier. The insects are earlier, too. Everybody has moved breakfast forward except us.",
        ),
    ):
        main.raw(f"<p><strong>{question}</strong></p>\n<p>{answer}</p>", question, answer)
    around = Around()
    return page("interview", frames.news(main, around, "I count them"), main, around)


def release_notes() -> MadePage:
    main = (
        Main()
        .h(1, "Brindle 4.2 release notes")
        .p(
            "Released on 9 March 2026. This version needs a database of version 12 or later; an upgrade cannot be undone."
        )
    )
    main.h(2, "New").items(
        "Snapshots may be taken while a job is running, and cost about 2 % of its speed.",
        "The command <code>brindle diff</code> compares two snapshots line by line.",
    )
    main.h(2, "Fixed").items(
        "A job that was cancelled in the moment in which it ended was counted twice.",
        "Paths with a space at the end were refused on one system and taken on another.",
        "The memory of the scheduler grew by 3 MB an hour when nobody was logged in.",
    )
    around = Around()
    return page("release notes", frames.material(main, around, "Release notes"), main, around)


def poem() -> MadePage:
    lines = (
        "The kettle knows the hour before the clock,",
        "the cat before the kettle, and the frost",
        "before the cat. I lie and hear the lock",
        "of winter turn, and count what it has cost.",
    )
    more = (
        "A bough, two panes, the pump, the early bean,",
        "the wren that had the ivy to herself;",
        "and what was never planted stands as green",
        "as in the summer, on the window shelf.",
    )
    main = Main().h(1, "January inventory", ' class="entry-title"')
    main.raw("<p>" + "<br>\n".join(lines) + "</p>\n<p>" + "<br>\n".join(more) + "</p>", *lines, *more)
    around = Around()
    return page("poem", frames.blog(main, around, "January inventory"), main, around)


def long_table() -> MadePage:
    rows = [
        ["Year", "Ewes", "Lambs", "Wool (kg)"],
        *([str(1990 + n), str(120 + 3 * n), str(171 + 5 * n), str(310 + 7 * n)] for n in range(14)),
    ]
    main = (
        Main()
        .h(1, "The flock in figures")
        .p(
            "All numbers are of the first of October. From 1999 on the wool of the two neighbouring farms is counted as well, since it is shorn and sold together."
        )
    )
    main.table(*rows, attributes=" border=1")
    main.p("The fall after 2001 in most tables of the district is missing here because the farm was never closed.")
    around = Around()
    return page("figures", frames.tables(main, around, "The flock"), main, around)


def definition_list() -> MadePage:
    main = Main().h(1, "Words of the printing shop")
    for word, meaning in (
        ("Forme", "The type and blocks of one side of a sheet, locked in an iron frame and ready for the press."),
        ("Pie", "Type that has been dropped and mixed. To sort it is the work of apprentices and a cure for pride."),
        ("Quoin", "A wedge, once of wood and now of steel, by which the forme is locked."),
        ("Widow", "The short last line of a paragraph that stands alone at the head of a page."),
    ):
        main.raw(f"<dl><dt>{word}</dt><dd>{meaning}</dd></dl>", word, meaning)
    around = Around()
    return page("glossary", frames.wiki(main, around, "Words"), main, around)


def short_notice() -> MadePage:
    main = (
        Main()
        .h(1, "Pool closed on Friday")
        .p(
            "The swimming pool stays closed on Friday, 6 June, because the pump is changed. Tickets for that day are valid on any other day of the month."
        )
    )
    around = Around()
    return page("a short notice", frames.news(main, around, "Pool closed"), main, around)


def nested_lists() -> MadePage:
    main = Main().h(1, "Packing list for a week on the ridge")
    main.raw("<ul><li>Shelter<ul><li>tent with its poles, counted</li><li>groundsheet, and the needle to mend it</li></ul></li><li>Kitchen<ul><li>stove and 400 g of gas</li><li>one pot with a lid that fits</li></ul></li><li>Against the wet<ol><li>a coat that has been tried in the shower</li><li>two pairs of socks in a bag</li></ol></li></ul>",
             "Shelter", "tent with its poles, counted", "groundsheet, and the needle to mend it", "Kitchen", "stove and 400 g of gas", "one pot with a lid that fits", "Against the wet", "a coat that has been tried in the shower", "two pairs of socks in a bag")  # fmt: skip
    main.p(
        "Everything together should weigh less than fourteen kilograms, water not counted. If it does not, leave the second book at home."
    )
    around = Around()
    return page("nested lists", frames.blog(main, around, "Packing list"), main, around)


ENGLISH = (
    news_bridge, news_list, blog_compost, blog_inline, docs_sphinx, docs_material, api_reference, tutorial_dirty_code,
    forum_thread, question_and_answers, wiki_lake, wiki_formulas, recipe_soup, product, landing_soup, geralds_page,
    plain_story, magazine_essay, amp_news, listing, legal_terms, interview, release_notes, poem, long_table,
    definition_list, short_notice, nested_lists,
)  # fmt: skip
