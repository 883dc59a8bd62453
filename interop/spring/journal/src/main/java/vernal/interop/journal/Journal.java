package vernal.interop.journal;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The last things that this peer saw, oldest first. */
public class Journal {

    private static final int KEPT = 20_000;
    /** The longest that a reader waits for a request that is being answered. */
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    /** One thing: its number counts from 1 and is never used again, so a reader can ask for what came after. */
    public record Entry(long number, long millis, String kind, Map<String, Object> facts) {
    }

    private final Deque<Entry> entries = new ArrayDeque<>();
    private final Set<Object> open = new HashSet<>();
    private long last;

    /** Something begins that will be noted: {@link #after} waits for it until it is {@link #closed}. */
    public synchronized void opened(Object what) {
        open.add(what);
    }

    public synchronized void closed(Object what) {
        open.remove(what);
        notifyAll();
    }

    public synchronized void note(String kind, Map<String, Object> facts) {
        if (entries.size() == KEPT) {
            entries.removeFirst();
        }
        entries.addLast(new Entry(++last, System.currentTimeMillis(), kind, facts));
    }

    /**
     * What came after entry {@code number}, of one kind or of all. Who has an answer finds its request here: Tomcat may
     * have sent the answer before the request was noted.
     */
    public synchronized List<Entry> after(long number, String kind) throws InterruptedException {
        Set<Object> begun = Set.copyOf(open);
        long end = System.nanoTime() + PATIENCE.toNanos();
        for (long left; !Collections.disjoint(open, begun) && (left = end - System.nanoTime()) > 0;) {
            wait(Math.max(1, Duration.ofNanos(left).toMillis()));
        }
        return entries.stream()
                .filter(entry -> entry.number() > number && (kind == null || kind.equals(entry.kind())))
                .toList();
    }

    public synchronized void clear() {
        entries.clear();
    }
}
