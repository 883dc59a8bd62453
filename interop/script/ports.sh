# shellcheck shell=bash
# The ports that peers have.

# Ports given away, each a link to the folder of the checkout that has it: a peer that is stopped for a while listens
# nowhere, and another checkout must not take its place.
reserved=${TMPDIR:-/tmp}/vernal-interop-ports-$(id -u)

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

has() { [ "$(readlink "$reserved/$1")" = "$run" ]; }

# Whether a checkout has peers, or is about to have some.
in_use() {
    local file
    [ -d "$1" ] || return 1
    for file in "$1"/peers/*/pid; do
        if marked "$(tr -d ' \n' 2>/dev/null <"$file")" "$1"; then return 0; fi
    done
    ! flock -n "$1/lock" true 2>/dev/null
}

# reserve PORT: whether it is this checkout's now, and was not before.
reserve() {
    local owner
    listening "$1" && return 1
    mkdir -p "$reserved"
    if owner=$(readlink "$reserved/$1"); then
        if [ "$owner" = "$run" ] || in_use "$owner"; then return 1; fi
        rm -f "$reserved/$1"
    fi
    ln -s "$run" "$reserved/$1" 2>/dev/null
}

release_ports() {
    local link
    for link in "$reserved"/*; do
        if has "$(basename "$link")"; then rm -f "$link"; fi
    done
}

# Below 32768, where the kernel gives ports to clients.
free_port() {
    local port
    for port in "$1" $(seq 21000 21999); do
        if reserve "$port"; then
            echo "$port"
            return
        fi
    done
    fail "no free port"
}

is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$1" -le 65535 ]; }

# take PORT WHOSE: that port and no other.
take() {
    is_port "$1" || fail "'$1' ($2) is no port"
    if listening "$1" || { ! has "$1" && ! reserve "$1"; }; then fail "port $1 ($2) is taken"; fi
}

port_of() {
    local name=$1 usual=$2 variable
    variable=INTEROP_PORT_$(tr 'a-z-' 'A-Z_' <<<"$name")
    if [ -n "${!variable:-}" ]; then
        take "${!variable}" "$variable"
        echo "${!variable}"
    else
        free_port "$usual"
    fi
}
