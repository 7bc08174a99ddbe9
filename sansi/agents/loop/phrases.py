"""What replies say when they plan a call, or claim one: English and Chinese."""

from __future__ import annotations

import re

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]{0,200}\"|“[^”]{0,200}”|「[^」]{0,200}」", re.DOTALL)
NAME_IN_CODE = re.compile(r"`([\w.-]{1,64})`")
END = re.compile(r"(?<=[.!?。！？；;:：])\s+|(?<=[。！？；：])|\n+")
TAG = re.compile(r"</?tool_call>|<function(?:_call)?[=>]")
JSON_CALL = re.compile(
    r"\{\s*\"(?:name|tool|function)\"\s*:\s*\"([\w-]{1,64})\"\s*,\s*\"(?:arguments|parameters|args)\"\s*:"
)

_VERBS = (
    r"(?:call|use|run|invoke|execute|query|search|look(?: it| this| that| them)? up|look into|check|fetch|compute|calculate"
    r"|read|open|retrieve|find(?: out)?|browse|verify|consult|send|save|create|delete|update|book|look at|list|inspect)"
)
_GOING_ON = (
    r"(?:calling|using|running|invoking|executing|querying|searching|looking(?: it| this| that| them)? up|checking|fetching"
    r"|computing|calculating|reading|opening|retrieving|browsing|sending|saving|creating|deleting|updating|booking)"
)
PLAN = re.compile(
    rf"\b(?:I['’]m|I am|we['’]re|we are)\s+(?:(?:now|just|currently|also)\s+)*{_GOING_ON}\b"
    rf"|^(?:now\s+|ok(?:ay)?[,.]?\s+|sure[,.]?\s+)?{_GOING_ON}\s+(?:for|the|a|an|it|that|this|your|with|[\w-]+\s+(?:with|for|now|tool))\b[^,]*$|"
    r"\b(?:I\s*(?:['’]ll|\s+will|['’]m going to|\s+am going to|\s+need to|\s+should|\s+shall)|let me(?! know)|let['’]s|(?:while|as)\s+I)\s+"
    rf"(?:(?:now|first|then|just|quickly|also|next|start by|begin by|go ahead and|try to)\s+)*{_VERBS}(?:ing)?\b"
    r"|^(?:please\s+)?(?:one|just a|a|give me a|hold on a|wait a)\s+(?:moment|second|minute)\b[^.]{0,40}[.!…]*$|^please\s+(?:wait|hold on)\b[^.]{0,40}[.!…]*$",
    re.IGNORECASE,
)
PLAN_ZH = re.compile(
    r"正在(?:为您|帮您)?(?:调用|使用|运行|执行|查询|查找|搜索|检索|计算|读取|获取|发送|保存|创建|删除|更新)|"
    r"我(?:先|再|去|来|帮您|帮你|给您|给你)*(?:查|搜|算|看|找)(?:询|索|找)?一下|^(?:好的[，,]?)?请?稍等(?:片刻|一下)?[。！!…]*$|"
    r"(?:让我们?|我(?:们)?(?:现在|马上|这就|先|将|会|要|需要|来|去|得)+|接下来(?:我)?(?:将|会|要)?|下面(?:我)?(?:将|会|来)?|现在(?:我)?(?:来|将|会)?)"
    r"(?:先|来|去|再|要|通过|为您|帮您|帮你|为你)*"
    r"(?:调用|使用|运行|执行|查询|查找|查一下|查一查|查看|搜索|搜一下|检索|计算|算一下|读取|打开|获取|看一下|看看|检查|核实|核对|发送|保存|创建|删除|更新|预订)"
)
REACT = re.compile(r"^\s*Action:\s*`?([\w.-]{1,64})`?\s*(?:\n|$)", re.MULTILINE)
WAITS = re.compile(
    r"\b(?:if|once|when|after|as soon as|until|unless|before)\s+you\b|\bwould you\b|\bcould you\b|\bplease\b(?!\s+(?:wait|hold|give me|allow me|bear))(?!\W*$)|\bshall I\b"
    r"|\bdo you want\b|\bif (?:needed|necessary|desired)\b|如果您?你?|请(?!稍)|您可以|你可以|需要您|需要你|等您|等你|是否|要不要|的话",
    re.IGNORECASE,
)
NEGATED = re.compile(
    r"\b(?:not|never|cannot|unable|failed|n['’]t|without|no longer|if|would|could|should|before|once|will|when)\b|n['’]t\b"
    r"|没有|没能|未能|未|无法|不能|尚未|还没|如果|将会|之后|并不",
    re.IGNORECASE,
)
DRAFT = re.compile(r"\b(?:below|above|following|draft|here(?: is| are|['’]s)?)\b|以下|如下|下面|上面", re.IGNORECASE)
_SUBJECT = r"\b(?:I|we)(?:['’]ve|\s+have)?\s+(?:(?:just|already|now|successfully|also|then|first|gone ahead and)\s+)*"
USED = re.compile(
    rf"{_SUBJECT}(?:called|used|ran|run|invoked|executed|queried|consulted)\b[^.;]{{0,80}}"
    r"|^(?:by |after )?(?:using|running)\s+(?:the\s+|our\s+)?[\w -]{1,64},"
    r"|\b(?:according to|based on)\s+(?:the\s+)?[\w -]{1,64}\s(?:tool|function|results?|output)\b"
    r"|\b[\w-]{1,64}(?:\s+(?:tool|function))?\s+(?:returned|reported|gave|gives|says|said|shows|showed)\b",
    re.IGNORECASE,
)
USED_ZH = re.compile(
    r"(?:已经?|刚刚|刚才)[^。；]{0,12}?(?:调用|使用|运行|执行|查询|用)[^。；]{0,80}|我(?:用|调用|使用|运行|执行|查询)了[^。；]{0,80}"
    r"|(?:根据|通过)[^。；，]{0,64}?(?:结果|返回|工具)|[\w-]{1,64}(?:工具)?(?:返回|显示|给出)[^。；]{0,80}"
)
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
CHANGED = re.compile(rf"{_SUBJECT}(?:{_DONE}\b|{_WRITTEN}\b(?:[^.;]|\.\w){{0,80}}?\b(?:{_THINGS})\b)", re.IGNORECASE)
PASSIVE = re.compile(
    rf"\b(?:{_THINGS})\b(?:[^.;]|\.\w){{0,60}}?\b(?:has|have)\s+(?:now\s+|already\s+)?been\s+(?:successfully\s+)?(?:{_DONE}|{_WRITTEN})\b"
    rf"|^(?:the\s+|your\s+)?(?:{_THINGS})\s+(?:{_DONE}|{_WRITTEN})(?:\s+(?:to|for|in|at|as|with|from)\b|[.!]*$)"
    rf"|\b(?:{_THINGS})\b\s+(?:was\s+|were\s+)?(?:successfully\s+(?:{_DONE}|{_WRITTEN})|(?:{_DONE}|{_WRITTEN})\s+successfully)\b",
    re.IGNORECASE,
)
CHANGED_ZH = re.compile(
    r"(?:已经?|成功|刚刚|刚才)[^。；，]{0,24}?"
    r"(?:发送|发给|寄出|保存|存入|创建|新建|删除|移除|更新|修改|写入|预订|预约|取消|上传|下载|安装|提交|退款|下单|购买|转账|支付|重命名|移动到)"
)
LOOKED = re.compile(
    rf"{_SUBJECT}(?:searched|looked up|queried|fetched|browsed|retrieved|looked (?:it|this|that|them) up"
    r"|(?:checked|consulted|read|opened)\s+(?:the\s+|your\s+)?(?:web|internet|website|web ?site|database|logs?|calendar|inbox))\b",
    re.IGNORECASE,
)
LOOKED_ZH = re.compile(
    r"我?(?:已经?|刚刚|刚才)(?:为您|帮您|在[^。；，]{0,12})?(?:查询|搜索|检索|查阅|查过|查到|调用|抓取)|我(?:查询|搜索|检索|查阅|查)了"
)
STEMS = {
    "send": ("sent", "发送", "发给", "寄出"),
    "mail": ("sent", "mailed", "发送"),
    "save": ("saved", "stored", "保存", "存入"),
    "store": ("saved", "stored", "保存", "存入"),
    "writ": ("written", "wrote", "saved", "写入", "保存"),
    "creat": ("created", "创建", "新建"),
    "delet": ("deleted", "removed", "删除", "移除"),
    "remov": ("deleted", "removed", "删除", "移除"),
    "updat": ("updated", "modified", "changed", "更新", "修改"),
    "edit": ("edited", "modified", "changed", "修改"),
    "book": ("booked", "reserved", "预订", "预约"),
    "reserv": ("booked", "reserved", "预订", "预约"),
    "schedul": ("scheduled", "预约"),
    "cancel": ("cancel", "取消"),
    "order": ("ordered", "purchased", "下单", "购买"),
    "refund": ("refunded", "退款"),
    "pay": ("paid", "transferred", "支付", "转账"),
    "transfer": ("transferred", "paid", "转账"),
    "upload": ("uploaded", "上传"),
    "download": ("downloaded", "下载"),
    "install": ("installed", "安装"),
    "submit": ("submitted", "提交"),
    "post": ("posted",),
    "add": ("added",),
    "renam": ("renamed", "重命名"),
    "mov": ("moved", "移动"),
    "copy": ("copied",),
    "remind": ("created", "scheduled", "added", "创建"),
    "note": ("saved", "added", "created", "written", "wrote", "保存", "创建"),
    "remember": ("saved", "stored", "added", "保存"),
}
REQUESTS = {
    ("planned", False): (
        "You said: “{}”, but you made no tool call. Make the call now, or give your answer without it."
    ),
    ("claimed", False): (
        "You said: “{}”, but no tool call in this conversation has done that. Make the call now, or say plainly that it "
        "has not been done."
    ),
    ("planned", True): "你说“{}”，但没有调用任何工具。请现在调用，或者直接给出回答。",
    ("claimed", True): "你说“{}”，但本次对话中没有任何工具调用做过这件事。请现在调用，或者如实说明尚未完成。",
}
