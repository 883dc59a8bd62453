# shellcheck shell=bash
# What must be installed, and how Debian 12 gets it.

# Debian's own: its packages, pika among them, are for no other interpreter.
python=${INTEROP_PYTHON:-/usr/bin/python3}

have() { command -v "$1" >/dev/null; }

java_is_17() {
    have java && have javac && have keytool || return 1
    local major
    major=$(java -version 2>&1 | sed -nE '1s/.*"([0-9]+).*/\1/p')
    [ "${major:-0}" -ge 17 ]
}

debian_12() { [ -r /etc/os-release ] && grep -q '^ID=debian' /etc/os-release && grep -q '^VERSION_ID="12"' /etc/os-release; }

missing_packages() {
    java_is_17 || echo openjdk-17-jdk-headless
    have mvn || echo maven
    [ -x "$rabbit_bin/rabbitmq-server" ] || echo rabbitmq-server
    have curl || echo curl
    "$python" -c 'import pika' 2>/dev/null || echo python3-pika
}

install_missing() {
    local packages
    # Debian's package is for Debian's interpreter alone.
    if [ "$python" != /usr/bin/python3 ] && ! "$python" -c 'import pika' 2>/dev/null; then
        fail "INTEROP_PYTHON: '$python' is no interpreter that has pika"
    fi
    mapfile -t packages < <(missing_packages)
    [ "${#packages[@]}" -eq 0 ] && return
    if ! debian_12 || [ "$(id -u)" -ne 0 ]; then
        say "missing (by their names in Debian 12): ${packages[*]}"
        say "install a JDK of version 17 or later with keytool, Maven 3.8, RabbitMQ 3.10 or later, curl and pika 1.2;"
        say "if RabbitMQ's scripts are not in $rabbit_bin, name their folder in INTEROP_RABBITMQ_BIN;"
        fail "if it is not $python that has pika, name the interpreter in INTEROP_PYTHON"
    fi
    say "installing ${packages[*]}"
    # The package would start a broker of its own on the usual port.
    local policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e $policy ]; then
        # shellcheck disable=SC2064  # its name now
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        ours=yes
    fi
    local installed=
    three_tries apt_install "${packages[@]}" && installed=yes
    if [ -n "$ours" ]; then
        rm -f $policy
        trap - EXIT
    fi
    [ -n "$installed" ] || fail "apt-get could not install ${packages[*]}; see $run/apt.log"
    mapfile -t packages < <(missing_packages)
    [ "${#packages[@]}" -eq 0 ] || fail "installed, but still missing: ${packages[*]}"
}

apt_install() {
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        >>"$run/apt.log" 2>&1 </dev/null
}

three_tries() {
    local try
    for try in 1 2 3; do
        "$@" && return
        say "try $try of 3 failed: $1"
        sleep $((try * 3))
    done
    return 1
}
