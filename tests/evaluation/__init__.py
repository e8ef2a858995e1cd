"""Tests of the evaluation of lenses."""
