"""Tools for agents: searches and documents over the Model Context Protocol (MCP)."""
