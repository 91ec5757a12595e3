"""The computing slot of a worker process: one network forward or one CRF at a time.

A worker runs two tasks on two threads. While one holds the slot and computes, the other reads its
window ahead or writes its result behind, so that the network never waits for storage. pydensecrf
holds the GIL, so a second one in the same process would only wait.
"""

from threading import Lock

SLOT = Lock()
