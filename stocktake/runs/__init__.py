"""What a job does, one module a kind, of its name; the others are what they share. The tasks call
these with an attempt in hand.

Every run ends its own job, in the transaction that writes its effect; errors rise to the base
task, which ends the attempt by their type.
"""
