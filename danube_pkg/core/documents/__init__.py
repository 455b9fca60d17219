"""Reading of YAML, TOML and JSON as typed records: values that know their line, rules of fields, findings, JSON Schema.

No key of any configuration is named here.
"""
