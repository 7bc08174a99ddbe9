"""What a call of an MCP tool costs, over stdio, by Sansi's client and by the official SDK's, on the same small server.

    python bench/mcp_calls.py --calls 500 --mib 1 8 32 [--publish]

Times to the first list of tools, milliseconds of an echo (median and the slowest of a hundred), seconds of results of
so many MiB in one line. The server is tests/agents/mcp/mcp_faulty.py, which starts in a bare interpreter. The clients
take turns, so that what else the machine does falls on all. Beside the two: Sansi's client called on the servers' own
thread, which tells what crossing to it costs, and the limit, a pipe to the server with no client at all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import commit, machine, publish
from mcp import Client, StdioServerParameters
from sansi.agents.mcp import MCPServers, ServerConfig
from sansi.agents.mcp.definitions import NOBODY

SERVER = Path(__file__).resolve().parents[1] / "tests" / "agents" / "mcp" / "mcp_faulty.py"
ARGS = ("-I", "-S", str(SERVER), "sized")


class Contender:
    """Whoever calls the server's one tool, which echoes a text, or gives as many MiB as it says."""

    name: str

    async def seconds(self, text: str) -> float:
        return await timed(self.call(text))


class Ours(Contender):
    name = "Sansi"

    async def open(self) -> None:
        config = ServerConfig("sized", command=sys.executable, args=ARGS, transport="stdio")
        self.servers = MCPServers([config])
        (self.tool,) = await asyncio.to_thread(self.servers.definitions)

    async def call(self, text: str) -> str:
        return (await self.servers.acall(self.tool, {"text": text})).text

    async def close(self) -> None:
        await asyncio.to_thread(self.servers.close)


class OnItsThread(Ours):
    name = "Sansi, no thread crossed"

    async def seconds(self, text: str) -> float:
        called = self.servers._server("sized").call(self.tool, {"text": text}, NOBODY)
        return await asyncio.wrap_future(self.servers._submit(timed(called)))


class Pipe(Contender):
    name = "a pipe alone (limit)"

    async def open(self) -> None:
        command = [sys.executable, *ARGS]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}}
        self._ask("initialize", hello)
        self._ask("tools/list", {})

    async def call(self, text: str) -> str:
        return self._ask("tools/call", {"name": "echo", "arguments": {"text": text}})["result"]["content"][0]["text"]

    def _ask(self, method: str, params: dict) -> dict:
        self.server.stdin.write(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
        )
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    async def close(self) -> None:
        self.server.kill()
        self.server.communicate()


class SDK(Contender):
    name = "official SDK"

    async def open(self) -> None:
        self.client = Client(StdioServerParameters(command=sys.executable, args=list(ARGS)))
        await self.client.__aenter__()
        await self.client.list_tools()

    async def call(self, text: str) -> str:
        return (await self.client.call_tool("echo", {"text": text})).content[0].text

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)


async def timed(work) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def measure(calls: int, sizes: list[int], opens: int) -> str:
    clients = [Ours(), SDK(), OnItsThread(), Pipe()]
    begun: dict[str, list[float]] = {client.name: [] for client in clients}
    for last in (False,) * (opens - 1) + (True,):
        for client in clients:
            begun[client.name].append(await timed(client.open()))
            if not last:
                await client.close()
    echoes: dict[str, list[float]] = {client.name: [] for client in clients}
    spent = {client.name: 0.0 for client in clients}
    for client in clients:
        await client.seconds("warm")
    for _ in range(calls):
        for client in clients:
            before = time.process_time()
            echoes[client.name].append(await client.seconds("x"))
            spent[client.name] += time.process_time() - before
    large = {client.name: [await client.seconds(str(size)) for size in sizes] for client in clients}
    for client in clients:
        await client.close()
    rows = {
        "to the first list of tools, ms": lambda n: f"{statistics.median(begun[n]) * 1000:.0f}",
        "echo, median, ms": lambda n: f"{statistics.median(echoes[n]) * 1000:.2f}",
        "echo, 99%, ms": lambda n: f"{statistics.quantiles(echoes[n], n=100)[98] * 1000:.2f}",
        "echo, processor time of the client, ms": lambda n: f"{spent[n] / calls * 1000:.2f}",
    }
    rows |= {f"a line of {size} MiB, s": lambda n, i=i: f"{large[n][i]:.2f}" for i, size in enumerate(sizes)}
    names = [client.name for client in clients]
    head = f"| | {' | '.join(names)} |\n|---|{'--:|' * len(names)}\n"
    return head + "\n".join(f"| {what} | {' | '.join(map(value, names))} |" for what, value in rows.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--mib", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--opens", type=int, default=5, help="times that each is started")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/RESULTS.md")
    chosen = parser.parse_args()
    table = asyncio.run(measure(chosen.calls, chosen.mib, chosen.opens))
    print(table)
    if chosen.publish:
        told = machine(1)
        source = (
            f"`python bench/mcp_calls.py --calls {chosen.calls}` at `{commit()}`, {told['cpu']}, {told['cores']} cores"
        )
        publish("mcp-calls", f"\n{source}.\n\n{table}\n\n")


if __name__ == "__main__":
    main()
