#!/usr/bin/env bash
# Runs the clients against a program (see README.md).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
program=$(realpath "${1:-$root/target/release/stride}")
work="$root/target/clients"
mkdir -p "$work"
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q openai==3.57.0
(cd "$work" && npm install --no-audit --no-fund --silent --prefix . puppeteer-core@24.43.1 axe-core@4.14.1)
"$work/venv/bin/python" "$here/openai_client.py" "$program"
cp "$here/page.mjs" "$work/page.mjs"
node "$work/page.mjs" "$program" "${CHROMIUM:-/usr/bin/chromium}" "$work/screenshots"
