"""Who a caller is and what they may do: access rules, people, sessions, tokens, OIDC, the audit chain. No HTTP."""
