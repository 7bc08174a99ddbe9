"""MCP: tools, resources and prompts of other programs. Nothing here loads the SDK until servers are started."""

from sansi.agents.forms import Question, Reply
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.definitions import Caller, CallResult, Definition, Prompt, Resource
from sansi.agents.mcp.failures import MCPFailure
from sansi.agents.mcp.load import ToolList, load_servers, read_tool_list
from sansi.agents.mcp.servers import MCPServers
from sansi.agents.mcp.status import Change, ServerStatus, Status

__all__ = [
    "CallResult",
    "Caller",
    "Change",
    "Definition",
    "MCPFailure",
    "MCPServers",
    "Prompt",
    "Question",
    "Reply",
    "Resource",
    "ServerConfig",
    "ServerStatus",
    "Status",
    "ToolList",
    "load_servers",
    "read_tool_list",
]
