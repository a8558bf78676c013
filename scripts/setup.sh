#!/bin/sh
# Prepares a fresh clone: checks what the machine must bring (Node, npm, a C compiler), puts the
# pinned pnpm into .tools and the dependencies into node_modules. Writes nothing outside of the
# checkout except pnpm's own cache. A stamp over everything it depends on makes a second call
# return at once. Knows nothing of what is built afterwards.
set -eu

cd "$(dirname "$0")/.."

fail() {
	echo "setup: $1" >&2
	shift
	for line in "$@"; do echo "       $line" >&2; done
	exit 1
}

# 1. What we cannot bring ourselves, each with the way to get it.
command -v node >/dev/null 2>&1 ||
	fail "node is not in PATH; Node.js >= 20.19 is needed." \
		"Get it from https://nodejs.org/ or your distribution, then run this again."
node_version=$(node -p 'process.versions.node')
node -e '
const [major, minor] = process.versions.node.split(".").map(Number);
process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
' || fail "node is version $node_version ($(command -v node)); Node.js >= 20.19 is needed." \
	"Install a newer one, or put it first in PATH, then run this again."
command -v npm >/dev/null 2>&1 ||
	fail "npm is not in PATH; it comes with Node.js and fetches the package manager once." \
		"Debian: apt-get install npm; otherwise install Node.js from https://nodejs.org/."
compiler=${CC:-cc}
command -v "${compiler%% *}" >/dev/null 2>&1 ||
	fail "there is no C compiler (${compiler}); the native addon is compiled on this machine." \
		"Debian: apt-get install gcc libc6-dev make. Another compiler is named with CC=..."

# 2. Nothing to do when nothing changed since the last time.
stamp=.tools/setup-stamp
now=$(
	{
		echo "$node_version $(uname -m) $(pwd)"
		cat package.json pnpm-workspace.yaml pnpm-lock.yaml ./*/package.json scripts/setup.sh
	} | cksum
)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ] && [ -d node_modules ]; then
	exit 0
fi

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
printf '#include <stdio.h>\nint main(void) { return 0; }\n' >"$probe/probe.c"
# shellcheck disable=SC2086 # CC may carry flags
$compiler -o "$probe/probe" "$probe/probe.c" 2>"$probe/errors" ||
	fail "the C compiler (${compiler}) cannot compile a program of one line:" "$(cat "$probe/errors")" \
		"Debian: apt-get install gcc libc6-dev make"

# 3. The package manager, in the version that package.json names; corepack is not on every machine.
pnpm_version=$(node -p 'require("./package.json").packageManager.split("@")[1].split("+")[0]')
if [ "$(cat .tools/node_modules/pnpm/package.json 2>/dev/null |
	node -p 'JSON.parse(require("fs").readFileSync(0, "utf8") || "{}").version')" != "$pnpm_version" ]; then
	echo "setup: fetching pnpm $pnpm_version into .tools"
	mkdir -p .tools
	npm install --prefix .tools --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
		"pnpm@$pnpm_version" >"$probe/npm.log" 2>&1 </dev/null ||
		fail "npm could not fetch pnpm $pnpm_version:" "$(tail -n 15 "$probe/npm.log")"
fi

# 4. The dependencies, exactly as locked.
echo "setup: installing the dependencies"
CI=true .tools/node_modules/.bin/pnpm install --frozen-lockfile --reporter=append-only \
	>"$probe/pnpm.log" 2>&1 </dev/null ||
	fail "pnpm could not install the dependencies:" "$(tail -n 25 "$probe/pnpm.log")"

printf '%s\n' "$now" >"$stamp"
echo "setup: done (Node $node_version, pnpm $pnpm_version)"
