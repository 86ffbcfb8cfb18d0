"""Tools of Model Context Protocol servers: https://modelcontextprotocol.io"""

from toolkits.mcp.server import MCPServer, MCPTool

__all__ = ["MCPServer", "MCPTool"]
