"""Who a caller is and what they may do: access rules, users, sessions, tokens, OIDC, the chain of the audit log. No
HTTP."""
