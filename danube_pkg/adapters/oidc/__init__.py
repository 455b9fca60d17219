"""OpenID Connect issuers over HTTP."""
