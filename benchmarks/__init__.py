"""Figures of lamella beside Starlette and a bare ASGI app, measured in one run.

``python -m benchmarks --help`` lists the groups. README.md says how the figures come about and
what they do not say. Figures are read, not asserted: only ``--check`` turns a missed bar into an
exit code.
"""
