package vernal.interop.journal;

import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

import org.springframework.cloud.bus.event.AckRemoteApplicationEvent;
import org.springframework.cloud.bus.event.EnvironmentChangeRemoteApplicationEvent;
import org.springframework.cloud.bus.event.RemoteApplicationEvent;
import org.springframework.cloud.context.environment.EnvironmentChangeEvent;
import org.springframework.context.event.EventListener;

/**
 * Notes bus events, own ones too, and which settings a refresh changed. Acks of others come only with
 * {@code spring.cloud.bus.trace.enabled=true}.
 */
class BusJournal {

    private final Journal journal;

    BusJournal(Journal journal) {
        this.journal = journal;
    }

    @EventListener
    void event(RemoteApplicationEvent event) {
        Map<String, Object> facts = new TreeMap<>(Map.of(
                "type", event.getClass().getSimpleName(),
                "id", event.getId(),
                "origin", event.getOriginService(),
                "destination", event.getDestinationService()));
        if (event instanceof AckRemoteApplicationEvent ack) {
            facts.put("ackId", ack.getAckId());
            facts.put("ackDestination", ack.getAckDestinationService());
            // A Spring 5 receiver reads null here from a Spring 5 sender: Jackson 3 does not set final fields.
            facts.put("event", ack.getEvent() == null ? "" : ack.getEvent().getSimpleName());
        }
        if (event instanceof EnvironmentChangeRemoteApplicationEvent change) {
            facts.put("values", change.getValues());
        }
        journal.note("bus", facts);
    }

    @EventListener
    void changed(EnvironmentChangeEvent event) {
        journal.note("changed", Map.of("keys", new TreeSet<>(event.getKeys())));
    }
}
