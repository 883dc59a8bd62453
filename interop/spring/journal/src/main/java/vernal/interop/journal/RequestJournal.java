package vernal.interop.journal;

import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.web.filter.OncePerRequestFilter;

/** Notes every request as it came: the target undecoded, the headers by lower-case name. */
class RequestJournal extends OncePerRequestFilter {

    private final Journal journal;

    RequestJournal(Journal journal) {
        this.journal = journal;
    }

    /** Who looks at the peer must not change what there is to see. */
    @Override
    protected boolean shouldNotFilter(HttpServletRequest request) {
        return request.getRequestURI().equals("/journal") || request.getRequestURI().equals("/actuator/health");
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        String method = request.getMethod();
        String query = request.getQueryString();
        String target = request.getRequestURI() + (query == null ? "" : "?" + query);
        Map<String, List<String>> headers = headers(request);
        // An exception that nobody handled becomes a 500 only after this filter.
        int status = HttpServletResponse.SC_INTERNAL_SERVER_ERROR;
        var open = new Object();
        journal.opened(open);
        try {
            chain.doFilter(request, response);
            status = response.getStatus();
        } finally {
            journal.note("request",
                    Map.of("method", method, "target", target, "headers", headers, "status", status));
            journal.closed(open);
        }
    }

    static Map<String, List<String>> headers(HttpServletRequest request) {
        Map<String, List<String>> headers = new TreeMap<>();
        for (String name : Collections.list(request.getHeaderNames())) {
            headers.put(name.toLowerCase(java.util.Locale.ROOT), Collections.list(request.getHeaders(name)));
        }
        return headers;
    }
}
