# shellcheck shell=bash
# The jars of the Spring peers.

# Changes with every source of the Spring peers.
stamp() { (cd "$here/spring" && find . -type f -not -path '*/target/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum); }

# One folder for each state of the sources: a peer that runs goes on reading its own.
jars() { echo "$run/jars/$(stamp | cut -c 1-16)"; }

maven() {
    (cd "$here/spring" && MAVEN_OPTS=${MAVEN_OPTS:--Xmx512m} nice -n 10 mvn -B -ntp -DskipTests clean package) \
        >"$run/maven.log" 2>&1 </dev/null
}

build() {
    local jars peer
    jars=$(jars)
    [ ! -d "$jars" ] || return 0
    say "building the Spring peers (the first time also downloads, about 180 MB)"
    if ! three_tries maven; then
        grep -m 20 ERROR "$run/maven.log" >&2 || tail -n 20 "$run/maven.log" >&2
        fail "Maven failed; all it said is in $run/maven.log"
    fi
    rm -rf "$jars.new"
    for peer in eureka-server config-server order-service user-service; do
        # Unpacked, a peer starts with a third less work than from one jar of jars.
        java -Djarmode=tools -jar "$here/spring/$peer/target/$peer.jar" extract --destination "$jars.new/$peer" >/dev/null ||
            fail "$peer.jar could not be unpacked"
    done
    mv "$jars.new" "$jars"
}
