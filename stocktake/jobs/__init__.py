"""The job protocol: enqueue, claim, heartbeat, finish, cancel, rescue, ring.

All but `counters.note` runs inside a transaction that the caller opened and will commit. Times are the
database's (`stocktake.db.clock.now`), so a worker whose clock is off by a day rescues nobody.
"""
