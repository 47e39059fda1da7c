#!/usr/bin/env bash
# A new user's way, timed: demo, Prometheus, Alertmanager, page, runbook, status page. docs/walk.md is what it prints.
# Wants prometheus, promtool, prometheus-alertmanager, amtool and chromium; uses the ports 9478, 9479, 9090 and 9093.
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/.." && pwd)
PLACE=$(mktemp -d /tmp/driftd-walk-XXXXXX)
BEGAN=$(date +%s)
LINES_SHOWN=12
URL=http://127.0.0.1
cd "$PLACE"

say() { printf '\n[%4d s] $ %s\n' $(($(date +%s) - BEGAN)) "$*"; }
run() { say "$*"; eval "$*" 2>&1 | tail -n "$LINES_SHOWN" | cut -c1-200; }
ended() {
  pkill -TERM -f "$PLACE/driftd/.venv/bin/driftd demo" || true
  pkill -f -- "--storage.tsdb.path=../monitoring/data" || true
  pkill -f -- "--storage.path=../monitoring/alerts" || true
}
trap ended EXIT
until_said() { until grep -q "$1" "$PLACE/demo.txt"; do sleep 1; done; }
alerts() { amtool --alertmanager.url=$URL:9093 alert query "$@" 2>/dev/null; }

run git clone -q "$SOURCE" driftd
cd driftd
touch "$PLACE/demo.txt"
say "make demo                       # in a terminal of its own"
make demo >"$PLACE/demo.txt" 2>&1 &
until_said "the daemon is ready"
say "# the demo: the daemon is ready"
grep -A 6 "the daemon is ready" "$PLACE/demo.txt"
export PATH=$PWD/.venv/bin:$PATH

run "curl -s $URL:9478/metrics | promtool check metrics && echo clean"
run driftd rules write ../monitoring/driftd
run cp deploy/prometheus.yml deploy/alertmanager.yml ../monitoring/
run promtool check config ../monitoring/prometheus.yml
say "prometheus --config.file=../monitoring/prometheus.yml --storage.tsdb.path=../monitoring/data &"
prometheus --config.file=../monitoring/prometheus.yml --storage.tsdb.path=../monitoring/data \
  --web.listen-address=127.0.0.1:9090 >"$PLACE/prometheus.txt" 2>&1 &
say "prometheus-alertmanager --config.file=../monitoring/alertmanager.yml --storage.path=../monitoring/alerts &"
prometheus-alertmanager --config.file=../monitoring/alertmanager.yml --storage.path=../monitoring/alerts \
  --web.listen-address=127.0.0.1:9093 --cluster.listen-address= >"$PLACE/alertmanager.txt" 2>&1 &

until_said "SECOND INCIDENT"
say "# the demo, so far"
grep -v "windows closed" "$PLACE/demo.txt" | sed -n '/FIRST INCIDENT/,$p'
until alerts alertname=DriftdPerformanceLoss | grep -q Driftd; do sleep 2; done
say "# the page is there"
LINES_SHOWN=40
run "amtool --alertmanager.url=$URL:9093 alert query"
alerts -o json alertname=DriftdPerformanceLoss |
  python3 -c 'import json, sys; print(*(f"{k}: {v}" for k, v in json.load(sys.stdin)[0]["annotations"].items()), sep="\n")'
BOOK=$(alerts -o json alertname=DriftdPerformanceLoss |
  python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["annotations"]["runbook_url"].removeprefix("file://"))')
run "sed -n '1,/^## How to look/p' '$BOOK'"
CONFIG=$(grep -o '/[^ ]*/driftd-demo-[a-z0-9_]*/config.toml' "$PLACE/demo.txt" | head -1)
run driftd status --config "$CONFIG"
EPISODE=$(driftd status --config "$CONFIG" | grep -o 'ep_[0-9a-f]*' | head -1)
run driftd explain "$EPISODE" --config "$CONFIG" --verify
run driftd webhooks list --config "$CONFIG"
say "# the status page: $PLACE/status.png"
chromium --headless --no-sandbox --disable-gpu --window-size=1280,900 --screenshot="$PLACE/status.png" \
  $URL:9478/ >/dev/null 2>&1
say "# Ctrl-C in the demo's terminal ends all of it"
