"""Uses the tools of Dhakira with the official SDK of the Model Context Protocol.

tools.py MODE CALLS URL TOKEN               by streamable HTTP
tools.py MODE CALLS PROGRAM [ARGUMENT]…     by standard input and output

MODE is `legacy` for the handshake of the protocol's first versions, `auto` for the newest that both sides know. CALLS is a JSON
list of the name of a tool and its arguments. Prints the names of the tools, and the structured content or the error of each call.
"""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

mode, calls, server, *arguments = sys.argv[1:]


def target():
    """Where the server is, as the client wants it."""
    if not server.startswith("http"):
        return StdioServerParameters(command=server, args=arguments)
    headers = {"Authorization": f"Bearer {arguments[0]}"}
    return streamable_http_client(server, http_client=create_mcp_http_client(headers=headers))


async def main():
    async with Client(target(), mode=mode, read_timeout_seconds=30) as client:
        tools = await client.list_tools()
        answers = []
        for name, inputs in json.loads(calls):
            result = await client.call_tool(name, inputs)
            said = [content.text for content in result.content]
            answers.append({"error": said} if result.is_error else result.structured_content)
    print(json.dumps({"tools": sorted(tool.name for tool in tools.tools), "answers": answers}))


asyncio.run(main())
