#!/usr/bin/env bash
# install.sh FOLDER: puts Debian trixie's OpenSSL FIPS provider and an openssl.cnf that activates it into FOLDER.
# Runs as root on Debian bookworm, which builds no such provider; apt's own sources and lists stay as they are.
# Afterwards: NODE_OPTIONS="--force-fips --openssl-config=FOLDER/openssl.cnf" node -p 'crypto.getFips()' prints 1.
set -euo pipefail
unset OPENSSL_CONF OPENSSL_MODULES NODE_OPTIONS

[ $# -eq 1 ] || { echo 'usage: install.sh FOLDER' >&2; exit 2; }
mkdir -p "$1"
target=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fipsinstall needs the openssl command; trixie's signing keys came into bookworm's keyring with a point release.
keyring=/usr/share/keyrings/debian-archive-trixie-stable.gpg
missing=()
command -v openssl >/dev/null || missing+=(openssl)
[ -f "$keyring" ] || missing+=(debian-archive-keyring)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# The mirror this machine is set up with, asked for another release, with lists and caches of our own. Release files
# carry several signatures: the keyring that has all of Debian's keys verifies them.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Release: bookworm' | head -n 1; }
mirror=$(mirror)
if [ -z "$mirror" ]; then
  # apt knows a source's release only from its lists, which a new machine has not.
  apt-get update -qq
  mirror=$(mirror)
fi
[ -n "$mirror" ] || { echo 'install.sh: apt has no bookworm source' >&2; exit 1; }
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/trixie.list"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/trixie.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}
apt update
(cd "$work" && apt download openssl-provider-fips)
dpkg-deb -x "$work"/openssl-provider-fips_*.deb "$work/package"
find "$work/package" -name fips.so -exec install -m 644 {} "$target/fips.so" \;

# Runs the module's self-tests and writes its checksum, without which the module refuses to start.
openssl fipsinstall -quiet -module "$target/fips.so" -out "$work/fips.cnf"

# base has the encoders and decoders of keys, and no algorithms.
{
  cat <<CONF
nodejs_conf = node
openssl_conf = node

[node]
providers = providers

[providers]
fips = fips_sect
base = base_sect

[base_sect]
activate = 1

CONF
  sed "s|^activate = 1|&\nmodule = $target/fips.so|" "$work/fips.cnf"
} >"$target/openssl.cnf"

# What all this was for, asked of Node itself.
[ "$(node --force-fips --openssl-config="$target/openssl.cnf" -p 'crypto.getFips()')" = 1 ] || {
  echo 'install.sh: node does not run with the FIPS provider' >&2
  exit 1
}
