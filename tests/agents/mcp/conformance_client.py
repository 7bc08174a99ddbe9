"""Our client as the official conformance suite runs one: `conformance_client.py URL`, the scenario by environment."""

import os
import sys

from sansi.agents.mcp import MCPServers, Reply, ServerConfig

ARGUMENTS = {"add_numbers": {"a": 2, "b": 3}}


def accept(question):
    """Accept every form as it is: what was left empty gets its default."""
    return Reply("accept")


def main(url):
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    config = ServerConfig("suite", url=url, era="auto", start_timeout=60, call_timeout=60)
    with MCPServers([config], ask=accept) as servers:
        status = servers.wait()
        print(status, file=sys.stderr)
        if status.ready != 1:
            sys.exit(1)
        if scenario == "initialize":
            return
        for definition in servers.definitions():
            print(servers.call(definition, ARGUMENTS.get(definition.name, {})), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[-1])
