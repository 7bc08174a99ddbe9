"""Calls that are planned or claimed and not made: found in five languages, asked for once, counted."""

import pytest
from sansi.agents import Agent, Tool, calculator
from sansi.agents.loop.honesty import unmade
from sansi.text import Message, ToolCall
from scripted_client import QUESTION, Script, calls, compute, says


def named(name, *effects):
    return Tool.from_function(lambda: "ok", name=name, description="A tool.", effects=effects or ("read",))


TOOLS = {
    tool.name: tool
    for tool in (
        named("calculator"),
        named("web_search", "network"),
        named("send_email"),
        named("write_file", "write"),
        named("time"),
    )
}
PLANNED = [
    "I'm now calling the calculator.",
    "Calling calculator with the numbers.",
    "Searching the web for it now.",
    "Okay, checking the database.",
    "Thought: this needs arithmetic.\nAction: calculator\nAction Input: 17*23",
    "正在调用计算器……",
    "Let me check the weather for you.",
    "I'll use the calculator to compute this.",
    "To find out, I will now search for the latest figures:",
    "That is a good question. I need to look up the exchange rate first.",
    "I'm going to call `web_search` with this query.",
    "Let's run the calculation.",
    "Please wait while I check the database.",
    "One moment, please.",
    "Give me a second to look that up.",
    "Sure! Please hold on.",
    "好的，我来查一下天气。",
    "请稍等，我查一下。",
    "好的，请稍等。",
    "我帮您搜索一下最新的消息。",
    "我将使用计算器计算这个结果。",
    "让我先搜索一下相关资料：",
    "接下来我会调用 web_search 工具。",
    # English
    "Allow me to check the weather.",
    "Let me pull up the logs.",
    "I'm going to open the file notes.txt.",
    "Let me save that in a file.",
    "Now running the tests.",
    'I call it: <tool_call>{"name": "calculator", "arguments": {}}</tool_call>',
    "<tool_call>calculator</tool_call>",
    # German
    "Ich rufe jetzt den Rechner auf.",
    "Ich werde das für Sie nachschlagen.",
    "Ich muss dafür zuerst die Datenbank abfragen.",
    "Lassen Sie mich kurz im Web nachsehen.",
    "Lass mich das berechnen.",
    "Ich schaue kurz nach.",
    "Dazu werde ich web_search verwenden.",
    "Einen Moment bitte.",
    "Bitte warten Sie einen Augenblick.",
    "Ich werde eine E-Mail an Anna senden.",
    # French
    "Je vais chercher cela sur le web.",
    "Je vais maintenant utiliser la calculatrice.",
    "Laissez-moi vérifier la météo.",
    "Permettez-moi de consulter le calendrier.",
    "Je vérifie cela tout de suite.",
    "Je suis en train de calculer le résultat.",
    "Un instant, s'il vous plaît.",
    "Veuillez patienter.",
    "Recherche en cours…",
    # Spanish
    "Voy a buscarlo en la web.",
    "Voy a usar la calculadora.",
    "Déjame comprobar el tiempo.",
    "Permítame consultar la base de datos.",
    "Estoy buscando la información.",
    "Buscando en la web…",
    "Ahora mismo consulto el calendario.",
    "Un momento, por favor.",
    "Espere un momento.",
    # calls in other forms
    'Next step: calculator("17*23")',
    'I need the result.\n\n```python\ncalculator("17*23")\n```',
    "Action: calculator[17*23]",
    'Action: {"action": "calculator", "action_input": {"expression": "1+1"}}',
    '<invoke name="calculator"><parameter name="expression">1+1</parameter></invoke>',
    '[TOOL_CALLS][{"name": "calculator"}]',
    '<tool_call>\n{"name": "calculator", "arguments": {"expression": "1+1"}}',
    'Action: {"name": "calculator", "arguments": {"expression": "1+1"}}',
    '```json\n{"name": "calculator", "parameters": {"expression": "1+1"}}\n```',
]
CLAIMED = [
    "Email sent to Bob!",
    "File saved.",
    "Using the calculator, 17*23 = 391.",
    "I used the calculator, and the result is 391.",
    "According to the web_search results, it is sunny.",
    "The calculator returned 391.",
    "I have searched the web and found nothing.",
    "I've sent the email to Anna.",
    "I have saved the summary in the file notes.txt.",
    "The file notes.txt has been deleted.",
    "Your order has been successfully cancelled.",
    "I have sent the email and will keep you posted.",
    "Saved.",
    "The report is now in notes.md.",
    "I have created a meeting for Tuesday.",
    "I have deleted the file as you asked.",
    "I have written the summary to the file: it is all there.",
    # German
    "Ich habe die E-Mail an Anna gesendet.",
    "Ich habe die Datei notes.txt gespeichert.",
    "Die Datei wurde erfolgreich gelöscht.",
    "Ihre Bestellung ist nun storniert.",
    "E-Mail gesendet!",
    "Ich habe im Web gesucht und nichts gefunden.",
    "Ich habe das nachgeschlagen.",
    "Ich habe den calculator verwendet: 391.",
    "Der calculator hat 391 ergeben.",
    "Laut web_search scheint die Sonne.",
    # French
    "J'ai envoyé l'e-mail à Anna.",
    "J’ai bien enregistré le fichier notes.txt.",
    "Le fichier a été supprimé.",
    "Votre commande a bien été annulée.",
    "Fichier enregistré.",
    "J'ai effectué une recherche, sans résultat.",
    "J'ai utilisé calculator, et le résultat est 391.",
    "Selon web_search, il fait beau.",
    # Spanish
    "He enviado el correo a Ana.",
    "He guardado el archivo notes.txt.",
    "Envié el correo a Ana.",
    "El archivo ha sido eliminado.",
    "Su pedido ha sido cancelado.",
    "Archivo guardado.",
    "He buscado en la web y no hay nada.",
    "He usado calculator y da 391.",
    "Según web_search, hace sol.",
    "我已经使用calculator计算出结果是391。",
    "邮件已发送给安娜。",
    "我已成功将文件保存到 notes.txt。",
    "我查询了天气，今天是晴天。",
]
NEITHER = [
    "17 * 23 = 391.",
    "Let me know if you need anything else.",
    "Please tell me the city, and I'll check the weather.",
    "It takes one second per file.",
    "At that moment the signal is low.",
    "请看一下附件。",
    "您可以看一下说明书。",
    "If you like, I can search for more.",
    "If you give me the city, I'll check the weather.",
    "Would you like me to send it?",
    "Shall I look it up?",
    "I'll need your order number first.",
    "I will check it once you send me the file.",
    "I could not send the email.",
    "I have not searched the web.",
    "I have written a short poem for you.",
    "Here is the message; I have written a draft of the email below.",
    "The function returned by `make` is a closure.",
    "I used the time to think about it.",
    'She said "I have sent the email" and left.',
    "You can run it with ```python\nlet me check\n```",
    # English
    "I'll use metric units.",
    "I am using the same notation as above.",
    "I'm running on a server of my maker.",
    "I'm reading this as a joke.",
    "Let's use x for the number of apples.",
    "I should use a hash map here.",
    "Reading a book is fun.",
    "Sending a message is easy.",
    "Checking the box is enough.",
    "Searching for errors in a large file may take long.",
    "I'll call it a day.",
    "I am calling this the second case.",
    "You can run the tests with make.",
    "I have written an email for you:\n\nDear Bob, I am ill today.",
    "I've created a list of tasks:\n- wash up",
    "I have updated the note as follows: eggs, milk.",
    "A mail server has a queue in which messages wait.",
    "The database was created in 2019.",
    "Files are saved in the folder that you choose.",
    "You have sent the email yourself.",
    "He has deleted the file.",
    "I used to search the web for such things.",
    "The search tool returned by default is slow.",
    "According to the results, you won.",
    'Call it like this: `calculator("1+1")`.',
    'You can call it yourself:\n\ncalculator("1+1")',
    "For example: calculator(1+1)",
    "def double(x):\n    return 2 * x\n\nprint(double(4))",
    "One moment can change everything.",
    "A call begins with `<tool_call>` and ends with `</tool_call>`.",
    "The tag <tool_call> begins a call.",
    "A moment of silence.",
    # German
    "Ich verwende gern Python.",
    "Ich werde ab jetzt metrische Einheiten verwenden.",
    "Wenn Sie möchten, kann ich das nachschlagen.",
    "Soll ich das für Sie nachsehen?",
    "Sie können das im Web nachschlagen.",
    "Bitte nennen Sie mir die Stadt, dann schlage ich jetzt nach.",
    "Ich habe die E-Mail nicht gesendet.",
    "Ich konnte die Datei nicht speichern.",
    "Ich habe Ihnen unten einen Entwurf der E-Mail geschrieben.",
    "Ich habe eine E-Mail geschrieben:\n\nLieber Bob, ich bin krank.",
    "Die Datei wurde 2019 erstellt.",
    "Die Datei wird gespeichert, sobald du zustimmst.",
    "Der Moment ist gut gewählt.",
    "Ich habe drei Dateien auf dem Tisch.",
    "Suchen Sie im Menü nach Einstellungen.",
    # French
    "Je vais vous expliquer la règle.",
    "Je vais utiliser la formule de Pythagore.",
    "Si vous voulez, je peux chercher cela.",
    "Voulez-vous que je cherche ?",
    "Vous pouvez chercher cela sur le web.",
    "Je n'ai pas envoyé l'e-mail.",
    "Voici le brouillon de l'e-mail que j'ai écrit.",
    "J'ai écrit un message :\n\nCher Bob, je suis malade.",
    "Le fichier a été créé en 2019.",
    "Le document a été écrit par Anne.",
    "J'ai trois fichiers à lire.",
    "Un instant de bonheur ne dure pas.",
    # Spanish
    "Voy a explicarle la regla.",
    "Voy a usar la fórmula de Pitágoras.",
    "Si quiere, puedo buscarlo.",
    "¿Quiere que lo busque?",
    "Puede buscarlo en la web.",
    "No he enviado el correo.",
    "Aquí está el borrador del correo que he escrito.",
    "He escrito un mensaje:\n\nQuerido Bob: estoy enfermo.",
    "El archivo ha sido creado por Ana.",
    "He leído tres libros este año.",
    "Buscando se encuentra, dice el refrán.",
    "Un momento de silencio.",
    "El programa espera recibir una dirección.",
    "如果您需要，我可以帮您查询。",
    "请告诉我城市，我来查天气。",
    "邮件尚未发送。",
    "列出已安装的程序。",
    "该文件已被其他人修改。",
    "请先关闭正在运行的程序。",
    "我写了一封邮件，内容如下：你好。",
    "要不要我查一下？",
    "答案是 391。",
    "我无法发送邮件。",
]


def found(text, *history, tools=TOOLS):
    return unmade(Message("assistant", text), history, tools)


@pytest.mark.parametrize("text", PLANNED)
def test_a_plan_without_a_call_is_found(text):
    assert found(text) and found(text).kind == "planned"


@pytest.mark.parametrize("text", CLAIMED)
def test_a_claim_without_a_call_is_found(text):
    assert found(text) and found(text).kind == "claimed"


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_neither_is_left_alone(text):
    assert found(text) is None


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("My order has been cancelled. What now?", "Since your order has been cancelled, you get your money back."),
        ("Meine Bestellung wurde storniert!", "Ihre Bestellung wurde storniert."),
        ("Ma commande a été annulée.", "Votre commande a été annulée."),
        ("Mi pedido ha sido cancelado.", "Su pedido ha sido cancelado."),
    ],
)
def test_what_the_user_told_first_is_no_claim(said, text):
    assert found(text, Message("user", said)) is None
    assert found(text, Message("user", "Cancel my order. / Storniere meine Bestellung. / Annule / Cancela")) is not None


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Let me check the weather.", "You said: “"),
        ("我来查一下。", "你说“"),
        ("Ich schaue kurz nach.", "Du hast geschrieben: „"),
        ("Je vais chercher cela.", "Tu as écrit : « "),
        ("Voy a buscarlo.", "Has escrito: «"),
        ('Ich brauche das Ergebnis, und das ist der Aufruf.\n\ncalculator("1+1")', "Du hast geschrieben: „"),
        ('calculator("1+1")', "You said: “"),
    ],
)
def test_the_model_is_asked_in_the_language_of_its_reply(text, asked):
    assert found(text).request.startswith(asked)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ich habe die E-Mail an Anna gesendet.", "send_email"),
        ("Die Datei wurde erfolgreich gelöscht.", "write_file"),
        ("J'ai envoyé l'e-mail à Anna.", "send_email"),
        ("He guardado el archivo notes.txt.", "write_file"),
        ("Según web_search, hace sol.", "web_search"),
    ],
)
def test_a_claim_in_another_language_that_a_call_backs_is_none(text, name):
    assert found(text, *made(name)) is None
    assert found(text, *made(name, "error: it failed")).kind == "claimed"


@pytest.mark.parametrize("text", [*PLANNED, *CLAIMED])
def test_without_tools_nothing_is_looked_for(text):
    assert found(text, tools={}) is None


def made(name, content="done"):
    call = ToolCall("c", name, "{}")
    return Message("assistant", "", None, (call,)), Message("tool", content, tool_call_id="c", name=name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I used the calculator, and the result is 391.", "calculator"),
        ("I have searched the web and found nothing.", "web_search"),
        ("I've sent the email to Anna.", "send_email"),
        ("I have saved the summary in the file notes.txt.", "write_file"),
        ("邮件已发送给安娜。", "send_email"),
        ("我已成功将文件保存到 notes.txt。", "write_file"),
    ],
)
def test_a_claim_that_a_call_backs_is_none(text, name):
    assert found(text, *made(name)) is None
    assert found(text, *made(name, "error: it failed")).kind == "claimed"  # a call that failed backs nothing


def test_a_call_of_another_tool_backs_no_claim():
    assert found("I've sent the email to Anna.", *made("calculator")).kind == "claimed"
    assert found("I used the calculator.", *made("web_search")).kind == "claimed"


def test_a_plan_that_is_carried_out_in_the_text_is_none():
    assert found("Let me compute: 17 * 23 is 391. So the answer is 391.") is None


def test_a_long_text_takes_no_time():
    for text in ("ich habe die Datei " * 4_000, "j'ai bien " * 5_000, "he ya " * 5_000, "voy a ahora " * 4_000):
        found(text)
    for text in ("calculator(" * 4_000, "je vais vous te le la " * 3_000, "ich werde " * 5_000, "Checking a " * 5_000):
        found(text)
    for text in ("已" * 20_000, "I have just " * 5_000, "let me now " * 5_000, "file " * 10_000, '{"name"' * 5_000):
        found(text)


def run(*replies, **fields):
    script = Script(*replies)
    events = list(Agent(script, [Tool.from_function(calculator)], **fields).stream(QUESTION))
    return events[-1].run, script, [event.details for event in events if event.kind == "notice"]


def test_a_plan_is_asked_for_once_more():
    done, script, notices = run(says("Let me compute that."), calls(compute("17*23")), says("391"))
    assert (done.answer, done.stopped_reason) == ("391", "answer")
    asked = script.seen[1][0][-1]
    assert asked.role == "user" and "Let me compute that." in asked.content and "no tool call" in asked.content
    assert (done.report.planned_unmade, done.report.claimed_unmade, done.report.asked_again) == (1, 0, 1)
    assert notices == [{"claim": "planned"}]


def test_it_is_asked_once_and_counted_each_time():
    done, script, _ = run(says("我来查一下。"), says("The calculator returned 391."))
    assert (done.answer, len(script.seen)) == ("The calculator returned 391.", 2)
    assert "没有调用任何工具" in script.seen[1][0][-1].content
    assert (done.report.planned_unmade, done.report.claimed_unmade, done.report.asked_again) == (1, 1, 1)


def test_it_can_be_switched_off_and_is_counted_still():
    done, script, notices = run(says("Let me compute that."), ask_again=False)
    assert (len(script.seen), done.report.planned_unmade, notices) == (1, 1, [])


def test_the_loops_own_request_is_not_the_users_word():
    script = Script(says("Let me check that for you."), says("391"))
    done = Agent(script, [Tool.from_function(calculator)]).run(QUESTION)
    assert [(m.role, m.origin) for m in done.messages if m.role == "user"] == [("user", None), ("user", "the loop")]
