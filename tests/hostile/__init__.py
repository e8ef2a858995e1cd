"""Files and texts that somebody else made, or that a disk has damaged."""
