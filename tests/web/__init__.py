"""The page in a real browser, before a real server with the real sandbox."""
