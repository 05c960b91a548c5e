#!/usr/bin/env bash
# Builds zlint, the linter of certificates, at a fixed version into .cache/; does nothing when it is there already.
# Ends with 1 when it cannot be had: `npm test` then skips the tests that need it, and says so in its count.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v3.7.3
target=.cache/zlint-$version/zlint
[ -x "$target" ] && exit 0

export PATH="$PATH:/usr/local/go/bin"
if ! command -v go >/dev/null 2>&1; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go ca-certificates >/dev/null
fi
# Built beside its place and moved there, so that a build that is cut off leaves nothing that looks whole.
build=$(mktemp -d .cache-zlint.XXXXXX)
trap 'rm -rf "$build"' EXIT
GOFLAGS=-modcacherw GOBIN="$PWD/$build" timeout 300 go install "github.com/zmap/zlint/v3/cmd/zlint@$version"
mkdir -p "$(dirname "$target")"
mv "$build/zlint" "$target"
