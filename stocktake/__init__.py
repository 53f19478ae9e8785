"""The service without HTTP, without Celery and without its command line: what a registry that keeps
the schemas of files in object storage true consists of. docs/ARCHITECTURE.md tells the rooms.
"""

__version__ = "0.1.0"
