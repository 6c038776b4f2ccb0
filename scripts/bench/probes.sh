#!/bin/sh
# What a run without anything to do must ask of others, one after the other: a line of the file is a program and its words.
# Usage: probes.sh FILE
set -u
while IFS= read -r line; do
  # shellcheck disable=SC2086 # the words of a line
  $line >/dev/null 2>&1 </dev/null
done <"$1"
exit 0
