"""The HTTP and MCP servers, the web page, and the client that finds a running server."""
