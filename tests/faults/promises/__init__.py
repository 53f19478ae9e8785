"""The promises, each a function from what was heard and what is stored to what is broken.

Nothing here knows which fault was made: a promise holds under all of them. 1 and 2 are in
`effects`, 3 in `kept`, 4 in `truth` and `histories`, 5 in `answers`; `schedules` is the clock's.
"""
