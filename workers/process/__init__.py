"""What a process does to itself: its environment, core dumps, inherited sockets, its parent's
death.
"""
