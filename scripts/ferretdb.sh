#!/bin/sh
# Builds FerretDB, a server that speaks MongoDB's protocol, into .tools/bin for the integration tests;
# version and sums are pinned in test/ferretdb. Needs Go >= 1.22; two minutes once, nothing afterwards.
set -eu

cd "$(dirname "$0")/.."
program=$(pwd)/.tools/bin/ferretdb
stamp=$(cat test/ferretdb/go.mod test/ferretdb/go.sum test/ferretdb/main.go | cksum)
if [ -x "$program" ] && [ "$(cat "$program.stamp" 2>/dev/null)" = "$stamp" ]; then
	echo "there already: $program"
	exit 0
fi
# Where Go's own packages put it, which not every PATH has.
PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null 2>&1 || {
	echo "ferretdb: go is not in PATH; get it from https://go.dev/ or your distribution" >&2
	exit 1
}
mkdir -p .tools/bin
cd test/ferretdb
# A registry may be out of breath for a moment; what was fetched is kept.
for attempt in 1 2 3; do
	GOFLAGS='-mod=readonly' go mod download && break
	[ "$attempt" = 3 ] || echo "ferretdb: fetching again" >&2
done
GOFLAGS='-mod=readonly -buildvcs=false' CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' \
	-tags ferretdb_no_mysql,ferretdb_no_hana \
	-o "$program" .
printf '%s\n' "$stamp" >"$program.stamp"
echo "built: $program"
