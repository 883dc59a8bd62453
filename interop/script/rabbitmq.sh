# shellcheck shell=bash
# RabbitMQ as a node of its own.

rabbit_bin=${INTEROP_RABBITMQ_BIN:-/usr/lib/rabbitmq/bin}

# Everything that would tie the node to another one on this machine: its name, its cookie (in HOME), its epmd, its folders.
in_rabbit() {
    local folder=$state/rabbitmq ports
    mapfile -t ports <"$folder/ports"
    (
        cd "$folder"
        export HOME=$folder/home PATH=$rabbit_bin:$PATH
        export RABBITMQ_NODENAME=interop@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
        export RABBITMQ_NODE_PORT=${ports[0]} RABBITMQ_DIST_PORT=${ports[1]}
        export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=${ports[2]} ERL_CRASH_DUMP=$folder/erl_crash.dump
        export RABBITMQ_MNESIA_BASE=$folder/data RABBITMQ_LOG_BASE=$folder/logs RABBITMQ_PID_FILE=$folder/pid
        export RABBITMQ_CONF_ENV_FILE=$folder/env.conf RABBITMQ_CONFIG_FILE=$folder/rabbitmq.conf
        export RABBITMQ_ENABLED_PLUGINS_FILE=$folder/plugins
        export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
        "$@"
    )
}

start_rabbitmq() {
    local folder=$state/rabbitmq
    [[ $folder != *\'* ]] || fail "RabbitMQ does not start below a folder with an apostrophe in its name: $folder"
    mkdir -p "$folder"/{home,data,logs}
    local old=()
    if [ -s "$folder/ports" ]; then mapfile -t old <"$folder/ports"; fi
    if [ "${#old[@]}" -ne 3 ] || [ "${old[0]}" != "$1" ] || ! has "${old[1]}" || ! has "${old[2]}"; then
        { echo "$1" && free_port 25700 && free_port 24369; } >"$folder/ports"
    fi
    : >"$folder/env.conf"
    echo '[].' >"$folder/plugins"
    : >"$folder/rabbitmq.conf"
    rm -f "$folder/pid"
    in_rabbit setsid rabbitmq-server >"$(log_of rabbitmq)" 2>&1 </dev/null 8>&- 9>&- &
    # The script writes the pid of the node; until then there is nothing to watch.
    for _ in $(seq 100); do
        [ -s "$folder/pid" ] && return
        sleep 0.1
    done
    tail -n 40 "$(log_of rabbitmq)" >&2
    fail "rabbitmq wrote no pid within 10 s"
}

# epmd outlives the node that started it, and refuses to go while it still knows the node.
stop_epmd() {
    [ -s "$state/rabbitmq/ports" ] || return 0
    local port
    port=$(sed -n 3p "$state/rabbitmq/ports")
    # What listens there otherwise is somebody else's.
    has "$port" || return 0
    for _ in $(seq 50); do
        listening "$port" || return 0
        in_rabbit epmd -port "$port" -kill >/dev/null 2>&1 || true
        sleep 0.1
    done
    fail "epmd still listens on port $port"
}
