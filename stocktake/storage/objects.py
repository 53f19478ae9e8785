"""Object stores as the readers see them: a local folder or a bucket, behind one small protocol."""

from stocktake.storage.local import LocalObjects
from stocktake.storage.protocol import Answer, Chunk, Item, ObjectInfo, ObjectStore

__all__ = ["Answer", "Chunk", "Item", "LocalObjects", "ObjectInfo", "ObjectStore"]
