"""What a call of an MCP tool costs, over stdio, by Sansi's client and by the official SDK's, on the same small server.

    python bench/mcp_calls.py --calls 500 --mib 1 8 32

Times to the first list of tools, milliseconds of an echo (median and the slowest of a hundred), seconds of results of
so many MiB in one line. The server is tests/agents/mcp/mcp_faulty.py, which starts in a bare interpreter. The clients
take turns, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

from mcp import Client, StdioServerParameters
from sansi.agents.mcp import MCPServers, ServerConfig

SERVER = Path(__file__).resolve().parents[1] / "tests" / "agents" / "mcp" / "mcp_faulty.py"
ARGS = ("-I", "-S", str(SERVER), "sized")


class Ours:
    name = "Sansi"

    async def open(self) -> None:
        config = ServerConfig("sized", command=sys.executable, args=ARGS, transport="stdio")
        self.servers = MCPServers([config])
        (self.tool,) = await asyncio.to_thread(self.servers.definitions)

    async def call(self, text: str) -> str:
        return (await self.servers.acall(self.tool, {"text": text})).text

    async def close(self) -> None:
        await asyncio.to_thread(self.servers.close)


class SDK:
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


async def measure(calls: int, sizes: list[int], opens: int) -> None:
    clients = [Ours(), SDK()]
    begun: dict[str, list[float]] = {client.name: [] for client in clients}
    for last in (False,) * (opens - 1) + (True,):
        for client in clients:
            begun[client.name].append(await timed(client.open()))
            if not last:
                await client.close()
    echoes: dict[str, list[float]] = {client.name: [] for client in clients}
    spent = {client.name: 0.0 for client in clients}
    for client in clients:
        await client.call("warm")
    for _ in range(calls):
        for client in clients:
            before = time.process_time()
            echoes[client.name].append(await timed(client.call("x")))
            spent[client.name] += time.process_time() - before
    large = {client.name: [await timed(client.call(str(size))) for size in sizes] for client in clients}
    print("| | " + " | ".join(client.name for client in clients) + " |\n|---|---|---|")
    _row("to the first list of tools, ms", clients, lambda n: f"{statistics.median(begun[n]) * 1000:.0f}")
    _row("echo, median, ms", clients, lambda n: f"{statistics.median(echoes[n]) * 1000:.2f}")
    _row("echo, 99%, ms", clients, lambda n: f"{statistics.quantiles(echoes[n], n=100)[98] * 1000:.2f}")
    _row("echo, processor time of the client, ms", clients, lambda n: f"{spent[n] / calls * 1000:.2f}")
    for position, size in enumerate(sizes):
        _row(f"a line of {size} MiB, s", clients, lambda n, p=position: f"{large[n][p]:.2f}")
    for client in clients:
        await client.close()


def _row(what: str, clients, value) -> None:
    print(f"| {what} | " + " | ".join(value(client.name) for client in clients) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--mib", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--opens", type=int, default=5, help="times that each is started")
    chosen = parser.parse_args()
    asyncio.run(measure(chosen.calls, chosen.mib, chosen.opens))


if __name__ == "__main__":
    main()
