"""The records that the API answers with, one file a noun, and the functions that build them from the core's records.

Pure: a view knows no request and calls no service. The command line shows the same records, so it imports from here and
not from the resources. Each field describes itself (`about`), which is the text that the OpenAPI document publishes.
"""
