"""The composition root: builds the objects, joins ports to adapters, owns the tasks, handles signals.

`danube serve` and `danube run` build the same house; they differ only in where the pipeline and the code come from.
"""
