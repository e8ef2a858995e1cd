"""The screen of causal traces: what of a clean run restores its answer in a corrupted one."""
