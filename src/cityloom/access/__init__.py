"""Who may do what: accounts, roles, information classes, tokens, audit."""
