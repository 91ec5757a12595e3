"""The stages: ingest, (pool,) predict, refine, (components, sieve,) (vectorise,) write.

Each tile of a stage is a pure function of (plan, tile): read a window, compute, write a window.
"""
