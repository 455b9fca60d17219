"""Typed reading of YAML and TOML: values that know their line, rules of fields, records from documents. No configuration key is named here."""
