# shellcheck shell=bash
# The processes of peers.

wait_limit=${INTEROP_WAIT:-120}

# Marks every peer, so that nothing else is ever taken for one.
export INTEROP_PEER_OF=$run

# marked PID RUN: whether the process is a peer of that checkout. A pid file alone proves nothing: the number may have
# been given to somebody else.
marked() {
    local environment
    for _ in 1 2 3 4 5; do
        environment=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/environ") || return 1
        case $'\n'$environment$'\n' in
        *$'\n'"INTEROP_PEER_OF=$2"$'\n'*) return 0 ;;
        $'\n\n') ;;
        *) return 1 ;;
        esac
        # A process that becomes another program, as ours do while they start, has no environment for a moment.
        sleep 0.05
    done
    return 1
}

pid_of() {
    local pid
    pid=$(tr -d ' \n' 2>/dev/null <"$state/$1/pid") && [ -n "$pid" ] && marked "$pid" "$run" && echo "$pid"
}

running() { pid_of "$1" >/dev/null; }

end_of() {
    local name=$1 signal=$2 pid
    pid=$(pid_of "$name") || return 0
    kill "-$signal" "$pid" 2>/dev/null || true
    # RabbitMQ removes its pid file long before it ends.
    for _ in $(seq 150); do
        marked "$pid" "$run" || return 0
        sleep 0.1
    done
    say "$name did not end within 15 s of SIG$signal: killing it"
    kill -KILL "$pid" 2>/dev/null || true
}

# What bears the mark and has no pid file: a broker that was about to write its own, epmd, a program of ours.
strays() {
    local file pid
    # Whatever is started here would bear it too.
    for file in $(env -u INTEROP_PEER_OF grep -lzFx "INTEROP_PEER_OF=$run" /proc/[0-9]*/environ 2>/dev/null || true); do
        pid=${file//[!0-9]/}
        if [ "$pid" != $$ ] && [ "$pid" != "$PPID" ]; then echo "$pid"; fi
    done
}

end_strays() {
    local try pids signal=TERM
    for try in $(seq 100); do
        mapfile -t pids < <(strays)
        [ "${#pids[@]}" -gt 0 ] || return 0
        [ "$try" -lt 50 ] || signal=KILL
        kill "-$signal" "${pids[@]}" 2>/dev/null || true
        sleep 0.1
    done
    fail "still running: ${pids[*]}"
}

log_of() { echo "$state/$1/log"; }

# wait_for NAME WHAT COMMAND...: until the command succeeds; the peer's log says why it did not.
wait_for() {
    local name=$1 what=$2 deadline=$((SECONDS + wait_limit))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! running "$name"; then
            tail -n 40 "$(log_of "$name")" >&2
            fail "$name ended before it was $what; its log is $(log_of "$name")"
        fi
        if [ $SECONDS -ge $deadline ]; then
            tail -n 40 "$(log_of "$name")" >&2
            fail "$name was not $what within $wait_limit s; its log is $(log_of "$name")"
        fi
        sleep 0.3
    done
}
