"""Declares the models that the stack's file lists under `koreai:models`."""

from pulumi_koreai import declare

declare()
