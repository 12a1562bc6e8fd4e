#!/usr/bin/env bash
# Writes haproxy/*.cfg anew, each by the command that its head names.
set -euo pipefail
cd "$(dirname "$0")/.."

for file in haproxy/*.cfg; do
  command=$(sed -n 's/^#   holdfast haproxy //p' "$file" | head -1)
  # Our own files: the quotes in the command are the shell's.
  eval "node dist/main.js haproxy $command" >"$file.new"
  mv "$file.new" "$file"
done
