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
mkdir -p "$work/async_openai/src"
cp "$here/async_openai.rs" "$work/async_openai/src/main.rs"
cat > "$work/async_openai/Cargo.toml" << 'END'
[workspace]

[package]
name = "async-openai-client"
version = "0.0.0"
edition = "2024"

[dependencies]
async-openai = { version = "=0.43.0", default-features = false, features = ["image", "model"] }
futures-util = { version = "0.3", default-features = false }
tokio = { version = "1", features = ["macros", "rt"] }
END
cargo build --release --quiet --manifest-path "$work/async_openai/Cargo.toml" --target-dir "$work/async_openai/target"
"$program" serve --port 0 --api-key secret > "$work/address" &
server=$!
trap 'kill $server' EXIT
until [ -s "$work/address" ]; do sleep 0.1; done
"$work/async_openai/target/release/async-openai-client" "$(head -n 1 "$work/address")" secret
trap - EXIT
kill $server
wait $server
cp "$here/page.mjs" "$work/page.mjs"
node "$work/page.mjs" "$program" "${CHROMIUM:-/usr/bin/chromium}" "$work/screenshots"
