"""Tests of the records of a scan, and of queries over them."""
