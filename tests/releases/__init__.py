"""What the last release was and left behind, a folder each; and who recorded it.

`record.py` makes a folder out of a release's wheel, and `release.py` puts one back in place. In it
are the wheel itself, so that the old code runs beside the new one in any checkout, and for each
database, as they were when every process had been killed or stopped:

database.sql
    the schema with its rows
broker.json
    what lay in the broker: Celery's messages, those too that a killed worker had not acknowledged
answers.json
    what the release's API said of all of it
client.json
    what its customer had asked and heard, for the oracle
files.tar.gz
    sources and managed storage
settings.json
    its keys, of which none opens anything else

`schema_0007` stands for a release: none has a tag yet, and this is the tree before the migrations
0008 and 0009.
"""
