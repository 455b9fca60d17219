"""Inbound: parse, authorise, call one service, render. No rule of CI stands here."""
