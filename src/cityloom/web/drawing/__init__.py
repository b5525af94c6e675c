"""Charts and maps drawn by the server, as SVG that needs no script and no outside help. Pure."""
