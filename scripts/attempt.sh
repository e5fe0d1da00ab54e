# shellcheck shell=sh
# Sourced by the scripts that fetch something.

# Runs a command that needs the network, again and again while it fails: mirrors are slow, or away for a minute, or
# being updated. Fails after six attempts, in two and a half minutes at least.
attempt() {
    attempt_number=1
    until "$@"; do
        [ "$attempt_number" -lt 6 ] || return 1
        printf '%s\n' "$(basename "$0" .sh): attempt $attempt_number failed, trying again" >&2
        sleep $((attempt_number * 10))
        attempt_number=$((attempt_number + 1))
    done
}

# Installs packages of the Debian machine this is, as root. Waits for whoever installs something just now.
install_packages() {
    apt-get -q -o Acquire::Retries=3 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 \
            install -y --no-install-recommends "$@"
}
