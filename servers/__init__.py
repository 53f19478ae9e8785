"""Servers on this machine for the demo, the tests and the benchmarks, each in one module.

One is started, awaited, killed, and ends with the process that started it. Nothing that is deployed
imports this: what `stocktake up` runs is in `workers.stack`.
"""
