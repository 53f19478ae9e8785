"""The job protocol: enqueue, claim, heartbeat, finish, cancel, rescue, ring.

All but `counters.note` runs in a transaction that the caller opened and commits. Times are the
database's (`stocktake.db.clock.now`), so a worker whose clock is off by a day rescues nobody.
"""
