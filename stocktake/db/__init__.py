"""The database: models, migrations, sessions, and its own clock.

What the rows mean and who may change them is above: `jobs`, `catalog`, `services`, `runs`,
`clock`.
"""
