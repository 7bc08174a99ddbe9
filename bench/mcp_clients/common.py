"""What every client is asked to do with a faulty and a sound server; a client is three async functions.

`open(servers, deadline)` starts all of them and returns an object with:
`errors`: why a server did not start, by name;
`tools()`: (name for the model, server, own name) of each tool;
`call(server, tool, arguments)`: the result's text, or an exception;
`changed(server)`: whether it noticed that a tool's definition is another (None: it has no such notion);
`close()`.
"""

import asyncio
import json
import re
import sys
import time


def told(**facts):
    print(json.dumps(facts), flush=True)


def leaf(error):
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def exercise(opening, task):
    fault, deadline, text = task["fault"], task["deadline"], task["text"]
    start = time.perf_counter()
    client = await opening(task["servers"], deadline)
    seconds = getattr(client, "failed_after", None) or time.perf_counter() - start
    tools = await client.tools()
    told(before=await echo(client, tools, "sound", "before"))
    if "faulty" in client.errors:
        told(phase="start", error=client.errors["faulty"], seconds=seconds)
    elif fault == "name_clash":
        told(phase="none", names=clash(tools))
    else:
        await call(client, tools, fault, text)
    told(after=await echo(client, tools, "sound", "after"))
    await client.close()


def own_name(tools, server, tool="echo"):
    found = [own for _, name, own in tools if name == server and own.startswith(tool)]
    if not found:
        raise RuntimeError(f"{server} has no tool {tool}")
    return found[0]


async def echo(client, tools, server, text):
    try:
        result = await client.call(server, own_name(tools, server), {"text": text})
        return "ok" if text in result else f"another answer: {result[:80]}"
    except BaseException as error:
        return leaf(error)


async def call(client, tools, fault, text):
    start = time.perf_counter()
    try:
        name = own_name(tools, "faulty")
        if fault == "bad_schema" and len([1 for _, server, _ in tools if server == "faulty"]) < 300:
            raise RuntimeError("tools are missing")
        result = await client.call("faulty", name, {"text": text})
        if fault == "rug_pull":
            await asyncio.sleep(1)
            told(changed=await second_call(client, name))
        told(phase="none", result=result[:100])
    except BaseException as error:
        told(phase="call", error=leaf(error), seconds=time.perf_counter() - start)


async def second_call(client, name):
    """Whether a tool that became another is noticed before it is called again."""
    if await client.changed("faulty"):
        return "ok"
    try:
        await client.call("faulty", name, {"text": "again"})
    except BaseException as error:
        return "ok" if re.search("changed|definition", leaf(error)) else leaf(error)
    return "a tool with another definition was called"


def clash(tools):
    names = [name for name, _, _ in tools]
    if len(names) != len(set(names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        return f"names stand twice: {', '.join(twice)[:60]}"
    bad = [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)]
    return f"names that models' APIs refuse: {', '.join(bad)[:80]}" if bad else "ok"


def main(opening):
    asyncio.run(exercise(opening, json.loads(sys.argv[1])))
