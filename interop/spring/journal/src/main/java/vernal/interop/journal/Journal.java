package vernal.interop.journal;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;

/** The last things that this peer saw, oldest first. */
public class Journal {

    private static final int KEPT = 20_000;

    /** One thing: its number counts from 1 and is never used again, so a reader can ask for what came after. */
    public record Entry(long number, long millis, String kind, Map<String, Object> facts) {
    }

    private final Deque<Entry> entries = new ArrayDeque<>();
    private long last;

    public synchronized void note(String kind, Map<String, Object> facts) {
        if (entries.size() == KEPT) {
            entries.removeFirst();
        }
        entries.addLast(new Entry(++last, System.currentTimeMillis(), kind, facts));
    }

    /** What came after entry {@code number}, of one kind or of all. */
    public synchronized List<Entry> after(long number, String kind) {
        return entries.stream()
                .filter(entry -> entry.number() > number && (kind == null || kind.equals(entry.kind())))
                .toList();
    }

    public synchronized void clear() {
        entries.clear();
    }
}
