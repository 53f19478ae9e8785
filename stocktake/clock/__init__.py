"""What the clock does at each tick: schedules, rescue, rings, and the removal of what is old.

It knows nothing of beat.
"""
