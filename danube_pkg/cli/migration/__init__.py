"""Workflows of other systems as danubefiles. Pure: from a YAML document to the text of a danubefile and the list of
what it could not carry over."""
