"""English."""

from __future__ import annotations

from sansi.agents.loop.phrases.language import Language, pattern

# What tools do, whatever it is done to; and what is said of other things, too ("I'll use metric units").
_LOOK = (
    r"(?:look(?: it| this| that| them)? up|look into|check|verify|query|search|fetch|compute|calculate|retrieve|browse"
    r"|consult|invoke|execute|find out|inspect)"
)
_ACT = r"(?:call|use|run|read|open|find|send|save|create|delete|update|book|look at|list|cancel|schedule|upload|download|pull up)"
_LOOKING = (
    r"(?:looking(?: it| this| that| them)? up|looking into|checking|verifying|querying|searching|fetching|computing"
    r"|calculating|retrieving|browsing|consulting|invoking|executing)"
)
_ACTING = r"(?:calling|using|running|reading|opening|finding|sending|saving|creating|deleting|updating|booking)"
_KIND = (
    r"(?:tools?|functions?|calculat\w+|search(?:es)?|browser|interpreter|apis?|databases?|quer(?:y|ies)|scripts?|code"
    r"|commands?|files?|folders?|documents?|e-?mails?|mails?|messages?|web|website|internet|page|reservation|booking|event|meeting|calendar"
    r"|appointment|reminders?|notes?|orders?|tickets?|tests?|logs?|[a-z]+_[a-z_]+)"
)
_NOW = r"(?:(?:now|first|then|just|quickly|also|next|currently|start by|begin by|go ahead and|try to)\s+)*"
_I_WILL = (
    r"\b(?:I\s*(?:['’]ll|\s+will|['’]m going to|\s+am going to|\s+need to|\s+should|\s+shall)|(?:let|allow) me(?: to)?(?! know)"
    r"|let['’]s|(?:while|as)\s+I)\s+"
)
_GERUND_SUBJECT = (
    r"(?!.*\b(?:is|are|was|takes?|can|may|might|will|would|should|helps?|makes?|means|requires?|gives?|lets?)\b)"
)
_PLAN = (
    rf"{_I_WILL}{_NOW}(?:{_LOOK}(?:ing)?\b|{_ACT}(?:ing)?\b[^.;]{{0,60}}?\b{_KIND}\b)"
    rf"|\b(?:I['’]m|I am|we['’]re|we are)\s+{_NOW}(?:{_LOOKING}\b|{_ACTING}\b[^.;]{{0,60}}?\b(?:{_KIND}|now)\b)"
    rf"|^(?-i:(?=[A-Z])){_GERUND_SUBJECT}(?:now\s+|ok(?:ay)?[,.]?\s+|sure[,.]?\s+)?(?:{_LOOKING}\s+(?:for|the|an?|it|that|this|your|with|now)\b"
    rf"|(?:{_LOOKING}|{_ACTING})\b[^,]{{0,60}}?\b{_KIND}\b)[^,]*$"
    r"|^(?:please\s+)?(?:one|just a|a|give me a|hold on a|wait a)\s+(?:moment|second|minute)"
    r"(?:,?\s+please|,?\s+(?:while|to|as|I)\b[^.]{0,40})?[.!…]*$"
    r"|^please\s+(?:wait|hold on)\b[^.]{0,40}[.!…]*$"
)
_SUBJECT = r"\b(?:I|we)(?:['’]ve|\s+have)?\s+(?:(?:just|already|now|successfully|also|then|first|gone ahead and)\s+)*"
_THINGS = (
    r"files?|folders?|director(?:y|ies)|documents?|records?|entr(?:y|ies)|rows?|database|events?|meetings?|calendar"
    r"|appointments?|reminders?|tasks?|tickets?|issues?|orders?|bookings?|reservations?|accounts?|notes?|settings?"
    r"|configuration|e-?mails?|mails?|messages?|invitations?|notifications?|payments?|transfers?|refunds?|posts?"
    r"|pull requests?|branch(?:es)?|commits?|repositor(?:y|ies)|packages?|subscriptions?|memory|disk"
)
_WRITTEN = r"(?:saved|written|wrote|created|deleted|removed|updated|renamed|moved|copied|modified|edited|changed|added|stored|posted)"
_DONE = (
    r"(?:sent|e-?mailed|booked|scheduled|ordered|cancell?ed|refunded|uploaded|downloaded|installed|submitted|reserved"
    r"|purchased|transferred|paid)"
)
_BOTH = rf"(?:{_DONE}|{_WRITTEN})"

ENGLISH = Language(
    plan=pattern(_PLAN),
    waits=pattern(
        r"\b(?:if|once|when|after|as soon as|until|unless|before)\s+you\b|\bwould you\b|\bcould you\b|\bshall I\b"
        r"|\bplease\b(?!\s+(?:wait|hold|give me|allow me|bear))(?!\W*$)|\bdo you want\b|\byou can\b"
        r"|\bif (?:needed|necessary|desired)\b|\b(?:your|my) (?:identity|own)\b"
    ),
    used=pattern(
        rf"{_SUBJECT}(?:called|used|ran|run|invoked|executed|queried|consulted)\b[^.;]{{0,80}}"
        r"|^(?:by |after )?(?:using|running)\s+(?:the\s+|our\s+)?[\w -]{1,64},"
        r"|\b(?:according to|based on)\s+(?:the\s+)?[\w -]{1,64}\s(?:tool|function|results?|output)\b"
        r"|\b[\w-]{1,64}(?:\s+(?:tool|function))?\s+(?:returned|reported|gave|gives|says|said|shows|showed)\b"
    ),
    changed=pattern(rf"{_SUBJECT}(?:{_DONE}\b|{_WRITTEN}\b(?:[^.;]|\.\w){{0,80}}?\b(?:{_THINGS})\b)"),
    passive=pattern(
        rf"\b(?:{_THINGS})\b(?:[^.;]|\.\w){{0,60}}?\b(?:has|have)\s+(?:now\s+|already\s+)?been\s+(?:successfully\s+)?{_BOTH}\b"
        rf"|^(?:the\s+|your\s+)?(?:{_THINGS})\s+{_BOTH}(?:\s+(?:to|for|in|at|as|with|from)\b|[.!]*$)"
        rf"|\b(?:{_THINGS})\b\s+(?:was\s+|were\s+)?(?:successfully\s+{_BOTH}|{_BOTH}\s+successfully)\b"
        r"|^(?:saved|sent|deleted|updated|booked|cancell?ed|uploaded|scheduled)[.!]*$"
        r"|^(?:the|your)\s+(?:report|file|document|summary|notes?|list|table|plot|draft)\s+(?:is|are) now (?:saved\s+|stored\s+)?"
        r"(?:in|at|under) [\w./~-]+\.\w{1,5}\b"
    ),
    done=pattern(rf"\b{_BOTH}\b"),
    written=pattern(
        r"^(?!.*\b(?:files?|folders?|database|disk)\b).*\b(?:written|wrote|created|updated|modified|edited|changed|added)\b"
    ),
    looked=pattern(
        rf"{_SUBJECT}(?:searched|looked up|queried|fetched|browsed|retrieved|looked (?:it|this|that|them) up"
        r"|(?:checked|consulted|read|opened)\s+(?:the\s+|your\s+)?"
        r"(?:web|internet|website|web ?site|database|logs?|calendar|inbox))\b"
    ),
    negated=pattern(
        r"\b(?:not|never|cannot|unable|failed|without|no longer|if|would|could|should|before|once|will|when)\b|n['’]t\b"
    ),
    draft=pattern(r"\b(?:below|above|following|draft|here(?: is| are|['’]s)?)\b"),
    own=pattern(r"\b(?:the|is|it|you|your|I|to|has|have)\b"),
    stems={
        "send": ("sent",),
        "mail": ("sent", "mailed"),
        "save": ("saved", "stored"),
        "store": ("saved", "stored"),
        "writ": ("written", "wrote", "saved"),
        "creat": ("created",),
        "delet": ("deleted", "removed"),
        "remov": ("deleted", "removed"),
        "updat": ("updated", "modified", "changed"),
        "edit": ("edited", "modified", "changed"),
        "book": ("booked", "reserved"),
        "reserv": ("booked", "reserved"),
        "schedul": ("scheduled",),
        "cancel": ("cancel",),
        "order": ("ordered", "purchased"),
        "refund": ("refunded",),
        "pay": ("paid", "transferred"),
        "transfer": ("transferred", "paid"),
        "upload": ("uploaded",),
        "download": ("downloaded",),
        "install": ("installed",),
        "submit": ("submitted",),
        "post": ("posted",),
        "add": ("added",),
        "renam": ("renamed",),
        "mov": ("moved",),
        "copy": ("copied",),
        "remind": ("created", "scheduled", "added"),
        "note": ("saved", "added", "created", "written", "wrote"),
        "remember": ("saved", "stored", "added"),
    },
    requests={
        "planned": ("You said: “{}”, but you made no tool call. Make the call now, or give your answer without it."),
        "claimed": (
            "You said: “{}”, but no tool call in this conversation has done that. Make the call now, or say plainly "
            "that it has not been done."
        ),
    },
)
