# shellcheck shell=bash
# The Java peers.

# Without -XX:TieredStopAtLevel=1 a start takes half as long again; a benchmark sets its own.
java_options=${INTEROP_JAVA_OPTIONS:--Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto}

key_store() {
    [ -s "$run/keystore.p12" ] && return
    keytool -genkeypair -alias interop -keyalg RSA -keysize 2048 -validity 3650 -dname CN=interop \
        -storetype PKCS12 -keystore "$run/keystore.p12" -storepass keystore-secret >/dev/null 2>&1 ||
        fail "keytool could not make $run/keystore.p12"
}

url_of() { echo "http://127.0.0.1:$(cat "$state/$1/port")"; }

# start_java NAME PEER SETTING...; what a peer is told of others is where they listen now.
start_java() {
    local name=$1 peer=$2 folder=$state/$1
    shift 2
    local settings=(--server.port="$(cat "$folder/port")")
    if [ "$peer" != eureka-server ]; then
        settings+=(--spring.rabbitmq.port="$(cat "$state/rabbitmq/port" 2>/dev/null || echo 5672)"
            # The config repository exposes less, and what the config server says beats a service's own file.
            --management.endpoints.web.exposure.include='*')
    fi
    case $peer in
    config-server)
        settings+=(--interop.config-repo="$run/config-repo" --interop.key-store="$run/keystore.p12")
        ;;
    *-service)
        if [ -s "$state/config-server/port" ]; then settings+=(--spring.cloud.config.uri="$(url_of config-server)"); fi
        if [ -s "$state/eureka-server/port" ]; then
            settings+=(--eureka.client.service-url.defaultZone="$(url_of eureka-server)/eureka")
        fi
        settings+=(--interop.feign-log="$folder/feign.log")
        ;;
    esac
    # Of two arguments with one name Spring would make a list: what the caller says replaces ours.
    local given setting kept=()
    for setting in "${settings[@]}"; do
        for given in "$@"; do [ "${given%%=*}" = "${setting%%=*}" ] && continue 2; done
        kept+=("$setting")
    done
    # shellcheck disable=SC2086  # the options are words
    (cd "$folder" && exec setsid java $java_options -jar "$(jars)/$peer/$peer.jar" "${kept[@]}" "$@") \
        >"$(log_of "$name")" 2>&1 </dev/null 8>&- 9>&- &
    local pid=$!
    echo "$pid" >"$folder/pid"
    # Until Java has taken the place of this shell's copy, the process does not bear the mark.
    until running "$name" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

healthy() { curl -fsS --max-time 5 "$(url_of "$1")/actuator/health"; }

# What the service itself says counts: it may have been told of another registry.
registered() { curl -fsS --max-time 5 -H 'Accept: application/json' "$(url_of eureka-server)/eureka/apps/$1" | grep -q '"status":"UP"'; }
