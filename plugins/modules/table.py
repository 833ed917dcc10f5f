#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: table
short_description: Present rows to a person, a spreadsheet or a program
description:
  - Lays rows out as an aligned table (wide Chinese and Japanese characters included), as CSV or as JSON, for the
    terminal and for the run's report.
  - Runs on the controller and needs no connection to a host. Use it with C(run_once).
version_added: 0.1.0
author:
  - Seisei operations (@seisei)
options:
  title:
    description: The line above the table.
    type: str
    default: ""
  columns:
    description:
      - The columns in order, each as the name of a field of the rows, or as a mapping of C(key), C(title) and C(kind).
      - Kinds are C(text), C(time) (shown on Tokyo's clock), C(digest) (shortened), C(number), C(seconds) and C(bytes).
      - JSON keeps every field of the rows. CSV takes the key of each column. Both leave values as they are, save that
        in CSV an apostrophe stands before a text that a spreadsheet would take for a formula.
    type: list
    elements: raw
    required: true
  rows:
    description: The rows. Give either this or O(rows_of).
    type: list
    elements: dict
  rows_of:
    description:
      - Name of a registered result whose C(rows) are gathered from every host of the play, each row with the name of
        its C(host). Hosts without an answer are named below the table.
    type: str
  and_of:
    description:
      - Name of a result registered on one host, whose C(rows) follow the others in JSON, where a row may have any
        fields. Tables and CSV, whose columns are for the others, do without them.
    type: str
    default: ""
  order_by:
    description:
      - Name of the field by which rows are ordered; a minus before it puts the greatest, or the newest, first. Rows
        without it come last. As they come when empty.
    type: str
    default: ""
  format:
    description: How the rows are shown.
    type: str
    choices: [table, json, csv]
    default: table
  path:
    description:
      - File on the controller that receives the rows as CSV when O(format=csv), and otherwise the report as JSON.
    type: path
attributes:
  check_mode:
    description: Shows the same, and does not write O(path).
    support: full
"""

EXAMPLES = r"""
- name: Show what runs where
  seisei.ops.table:
    title: What runs where
    columns:
      - host
      - stack
      - {key: digest, title: Digest, kind: digest}
      - {key: since, title: Since, kind: time}
    rows_of: releases
    format: "{{ runbook.inputs.format }}"
  run_once: true
"""

RETURN = r"""
display:
  description: The lines for the person at the terminal.
  returned: success
  type: list
  elements: str
report:
  description: The title, all rows with all their fields, and the hosts that gave no answer (C(silent)).
  returned: success
  type: dict
"""
