"""Servers on this machine for the demo, the tests and the benchmarks, each in one module.

One is started, awaited, killed, and ends with the process that started it. None of the
service's own processes imports this: what `stocktake up` runs is in `workers.stack`.
"""
