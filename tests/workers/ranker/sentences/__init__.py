"""Tests of sentence encoders."""
