#!/bin/sh
# Installs Teleport in the version of the cluster whose proxy this comes from, and asks no other host:
#
#   curl "https://PROXY/scripts/install.sh" | sudo bash
#
# Nothing happens before the last line, so that a download that is cut off does nothing.

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

check_host() {
    [ "$(id -u)" -eq 0 ] || fail 'only root may install programs; pipe the script into: sudo bash'
    [ "$(uname -s)" = Linux ] || fail "there is Teleport for Linux alone, and this is $(uname -s)"
    for tool in mktemp sha256sum tar gzip; do
        command -v "$tool" >/dev/null || fail "$tool is needed and not on this host"
    done
}

choose_archive() {
    case $(uname -m) in
    x86_64) architecture=amd64 checksum=@CHECKSUM_AMD64@ ;;
    aarch64) architecture=arm64 checksum=@CHECKSUM_ARM64@ ;;
    *) fail "there is no archive for $(uname -m)" ;;
    esac
    [ -n "$checksum" ] || fail "the proxy has no archive for $(uname -m); its administrator puts one into its dist_dir"
    archive=teleport-v$version-linux-$architecture-bin.tar.gz
}

download() {
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --globoff --proto '=https' ${insecure:+--insecure} --output "$2" "$1"
    elif command -v wget >/dev/null; then
        wget --quiet --max-redirect=0 --https-only ${insecure:+--no-check-certificate} --output-document="$2" "$1"
    else
        fail 'curl or wget is needed and neither is on this host'
    fi
}

explain_download() {
    printf 'error: %s cannot be downloaded\n' "$1" >&2
    [ -n "$insecure" ] ||
        printf 'if the certificate of the proxy is not trusted here and you know that it is the right one, ask for %s\n' \
            "/scripts/install.sh?insecure=true" >&2
    exit 1
}

install_teleport() {
    set -eu
    umask 022
    url=@URL@
    version=@VERSION@
    insecure=@INSECURE@
    check_host
    choose_archive
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 1' HUP INT TERM
    printf 'installing Teleport %s from %s\n' "$version" "$url"
    download "$url/$archive" "$folder/$archive" </dev/null || explain_download "$url/$archive"
    printf '%s  %s\n' "$checksum" "$folder/$archive" | sha256sum -c - >/dev/null 2>&1 ||
        fail "$archive is not what the proxy announced: its checksum differs; nothing was installed"
    tar -xzf "$folder/$archive" -C "$folder" --no-same-owner
    "$folder/teleport/install" </dev/null
}

install_teleport
