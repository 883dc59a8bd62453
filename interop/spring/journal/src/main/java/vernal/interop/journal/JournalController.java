package vernal.interop.journal;

import java.util.List;

import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** {@code GET /journal?after=12&kind=bus}. */
@RestController
class JournalController {

    private final Journal journal;

    JournalController(Journal journal) {
        this.journal = journal;
    }

    @GetMapping("/journal")
    List<Journal.Entry> entries(@RequestParam(defaultValue = "0") long after,
            @RequestParam(required = false) String kind) throws InterruptedException {
        return journal.after(after, kind);
    }

    @DeleteMapping("/journal")
    void clear() {
        journal.clear();
    }
}
